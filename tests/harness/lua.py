"""Python values as Lua source text, whatever characters they hold."""
import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
WORDS = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if",
         "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}


def string(text):
    out = []
    for byte in text.encode():
        plain = 32 <= byte < 127 and byte not in b"\"\\"
        out.append(chr(byte) if plain else "\\%03d" % byte)
    return '"' + "".join(out) + '"'


def field(name):
    return name if NAME.match(name) and name not in WORDS else "[%s]" % string(name)


def literal(value):
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{ %s }" % ", ".join("%s = %s" % (field(k), literal(v)) for k, v in value.items())
    return "{ %s }" % ", ".join(literal(v) for v in value)
