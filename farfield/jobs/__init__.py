"""Jobs on files of embeddings: what goes in is a file, what comes out an adapter and a page to decide from."""

from farfield.jobs.apply import apply as apply
from farfield.jobs.shrink import Shrunk as Shrunk
from farfield.jobs.shrink import shrink as shrink
