"""What to learn, and the named shifts under which it must hold."""

from farfield.tasks.task import Classes as Classes
from farfield.tasks.task import Image as Image
from farfield.tasks.task import Split as Split
from farfield.tasks.task import Table as Table
from farfield.tasks.task import Task as Task
from farfield.tasks.task import Text as Text
from farfield.tasks.task import Tokens as Tokens
from farfield.tasks.task import Vector as Vector
from farfield.tasks.task import column as column
