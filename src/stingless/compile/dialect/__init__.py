"""bcc's C dialect: a lexical front half that turns it into plain C for clang, line for line."""

from stingless.compile.dialect.translate import Translation as Translation
from stingless.compile.dialect.translate import translate as translate
