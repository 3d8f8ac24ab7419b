"""The operators' console. Nothing is sent: a notification of this kind is an area's, and the operators' page that
shows it marks it delivered. Until then it stays pending, which is visible, and the sender leaves it alone.
"""

from typing import Final

KIND: Final = "console"
