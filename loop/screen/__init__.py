"""The window and what is drawn in it.

pygame reads these variables while it is imported, so they are set before any module of this folder can import it.
"""

import os

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # the prompt would appear in the output of every command
os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "neverblink")  # pygame's own default is the name of the script
