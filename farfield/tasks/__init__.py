"""What to learn, and the named shifts under which it must hold."""

from farfield.tasks.newdata import read as read
from farfield.tasks.registry import expand as expand
from farfield.tasks.registry import hub_ids as hub_ids
from farfield.tasks.registry import load as load
from farfield.tasks.registry import names as names
from farfield.tasks.registry import resolve as resolve
from farfield.tasks.task import Classes as Classes
from farfield.tasks.task import Image as Image
from farfield.tasks.task import Split as Split
from farfield.tasks.task import Table as Table
from farfield.tasks.task import Task as Task
from farfield.tasks.task import Text as Text
from farfield.tasks.task import Tokens as Tokens
from farfield.tasks.task import Vector as Vector
from farfield.tasks.task import column as column
