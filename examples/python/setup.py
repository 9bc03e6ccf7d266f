"""Builds the wheel: compiles nn.h, and writes nn/_c.py, which declares it for Python.

Every enum, struct, function and layer in _c.py comes from the text of nn.h, so that no layout is
written by hand. tests/platform/python_wheel.py compares them with what a C compiler says. In
Python, a function that returns an nn_status raises Error instead.
"""

import os
import re
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
# A copy of the header beside this file comes first: `make python` builds in a folder of its own.
HEADER = next(path for path in (HERE / "nn.h", HERE.parents[1] / "nn.h") if path.exists())
WINDOWS = os.name == "nt"
LIBRARY = "_library.dll" if WINDOWS else "_library.so"
TYPES = {"int": "c_int", "long": "c_long", "char": "c_char", "double": "c_double",
         "size_t": "c_size_t", "uint64_t": "c_uint64", "nn_real": "c_float"}
OPAQUE = ("nn_real", "nn_model", "nn_trainer")  # pointers to these have no fields to offer

START = '''"""nn.h for ctypes, written by setup.py."""
import operator
import os
import signal
import threading
from ctypes import (CDLL, CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float,
                    c_int, c_long, c_size_t, c_uint64, c_void_p)
from typing import Any, Dict, NamedTuple

NUMBERS = (c_int, c_uint64, c_float)


def text_of(enum: str, value: int) -> str:
    return next(text for text, number in ENUMS[enum].items() if number == value)


class Error(ValueError):
    """nn.h refused a call, or it failed. `status` is its nn_status: "NN_ERROR_DATA"."""

    def __init__(self, status: int, *where: str) -> None:
        super().__init__(status, *where)
        self.status = "NN_" + text_of("nn_status", status).upper()

    def __str__(self) -> str:
        text: str = library.nn_status_text(self.args[0]).decode()
        return ": ".join([*self.args[1:], text])


def check(status: int, function: Any, arguments: Any) -> int:
    """Raises Error with the function, the path, what nn_location names, or which layer is wrong."""
    if status:
        where = [function.__name__]
        if function in (library.nn_load, library.nn_save):
            where += [os.fsdecode(path) for path in arguments if isinstance(path, bytes)]
        where += [place.name.decode(errors="replace") for place in arguments
                  if isinstance(place, nn_location) and place.name]
        if function is library.nn_check_shape and arguments[1].contents.value >= 0:
            where.append(f"layer {arguments[1].contents.value}")
        raise Error(status, *where)
    return status


def encoded(path: Any) -> bytes:
    """A path as bytes. In C it would end at a zero byte."""
    if b"\\0" in os.fsencode(path):
        raise ValueError("a path has no zero byte")
    return os.fsencode(path)


class Interrupts:
    """Within it, Ctrl-C only sets `noted`, and the usual handler follows at the end. Otherwise it
    could raise KeyboardInterrupt as a callback begins, where ctypes ignores exceptions."""

    def __enter__(self) -> "Interrupts":
        self.noted: Any = ()
        self.usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(self.usual):
            signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, *arguments: Any) -> None:
        self.noted = arguments

    def __exit__(self, *exception: object) -> None:
        if signal.getsignal(signal.SIGINT) == self.note:
            signal.signal(signal.SIGINT, self.usual)
        if self.noted and callable(self.usual):
            self.usual(*self.noted)


class Struct(Structure):
    enums: Dict[str, str] = {}  # the enum of each field that has one

    @classmethod
    def types(cls) -> Dict[str, Any]:
        """The type of each field."""
        fields: Any = cls._fields_
        return dict(fields)

    def set(self, **values: Any) -> None:
        """Sets fields; enumerators are texts. What a field's type cannot hold is refused."""
        for name, value in values.items():
            kind, texts = self.types()[name], ENUMS.get(self.enums.get(name, ""))
            if texts:
                if value not in texts:
                    raise ValueError(f"{name} {value!r} is none of {', '.join(texts)}")
                value = texts[value]
            elif kind in NUMBERS:
                value = float(value) if kind is c_float else operator.index(value)
                held = kind(value).value
                if value and not held if kind is c_float else value != held:
                    raise ValueError(f"{name} {value} is outside the range of its type in C")
            setattr(self, name, value)

    def as_dict(self) -> Dict[str, Any]:
        """The fields that are no addresses; enumerators as texts."""
        return {name: text_of(self.enums[name], getattr(self, name))
                if name in self.enums else getattr(self, name)
                for name, kind in self.types().items() if kind is not c_void_p}


'''

END = '''

class Handle(c_void_p):
    """An nn_model *, freed when the last model, view or call that needs it has gone."""

    def __del__(self, free: Any = library.nn_model_free) -> None:
        free(self)
'''


def version():
    return re.search(r'#define NN_VERSION +"(.*)"', HEADER.read_text("ascii")).group(1)


def members(body):
    """[("NN_SCALE_NONE", "none", 0), ...] of an enum's body: each enumerator, its name in Python
    without the words that all of them begin with, and its value."""
    found = re.findall(r"(NN_\w+)(?:\s*=\s*(\w+))?", body)
    prefix = os.path.commonprefix([name for name, _ in found])
    start, value = prefix.rindex("_") + 1, -1
    for name, given in found:
        value = int(given, 0) if given else value + 1
        if not name.endswith("_COUNT"):
            yield name, name[start:].lower(), value


def c_type(base, stars, enums):
    """The ctypes expression for a type of nn.h with so many stars. A pointer to numbers is an
    address, which an integer or byref gives."""
    if not stars:
        return "None" if base == "void" else "c_int" if base in enums else TYPES.get(base, base)
    if base == "char" and stars == 1:
        return "c_char_p"
    return f"POINTER({base})" if base.startswith("nn_") and base not in OPAQUE else "c_void_p"


def declared(text, enums):
    """(name, type in C, ctypes expression) of each name that `int a, *b, c[4]` declares."""
    base, rest = re.match(r"\s*(?:const\s+)?(\w+)(.*)", text, re.S).groups()
    for part in rest.split(","):
        stars, name, length = re.match(r"((?:\s|\*|const\b)*)(\w*)(?:\[(\d+)\])?$", part).groups()
        kind = c_type(base, stars.count("*"), enums)
        yield name, base, f"{kind} * {length}" if length else kind


def layer_lines(macros, fields, texts):
    """The macros that make layers, as functions: NN_CONV2D becomes conv2d. fields: of nn_layer."""
    hints = {name: "str" if base.startswith("nn_") else "int" for name, base, _ in fields}
    yield "class Layer(NamedTuple):"
    yield '    """One layer: the fields of nn_layer in nn.h. The macros\' namesakes make it."""'
    yield from (f"    {name}: {hint}" for name, hint in hints.items())
    constants, public = [], ["Error", "Layer"]
    for name, arguments, body in macros:
        body = re.sub(r"\bNN_(\w+)\(", lambda call: call[1].lower() + "(", body)
        body = re.sub(r"\bNN_\w+", lambda enumerator: repr(texts[enumerator[0]]), body)
        body = re.sub(r"\{(.*)\}", r"Layer(\1)", body)
        public += [name[3:].lower()] if name[3] != "_" else []
        if arguments:
            typed = (f"{word}: {hints.get(word, 'int')}" for word in arguments.split(", "))
            yield f"def {name[3:].lower()}({', '.join(typed)}) -> Layer:"
            yield f'    """As {name} in C."""'
            yield f"    return {body}"
        else:
            constants.append(f"{name[3:].lower()} = {body}")
    yield from constants
    yield f"__all__ = {public}"


def binding_lines(header):
    """The lines of nn/_c.py, for the default switches of nn.h."""
    api = header[header.index("typedef enum nn_status"):header.index("Sizes at compile time")]
    api = re.sub(r"/\*.*?\*/", "", api, flags=re.S)
    api = re.sub(r"[ ]*\\\n\s*", " ", api)
    macros = {name: (name, arguments, body) for name, arguments, body in re.findall(
        r"^#define (NN_\w+)(?:\((.*?)\))?\s+(\{.*\}|NN_\w+\(.*\))$", api, re.M)}
    api = re.sub(r"^#.*$", "", api, flags=re.M)
    enums = {name: list(members(body))
             for name, body in re.findall(r"typedef enum (\w+) \{(.*?)\}", api, re.S)}
    structs = {name: [field for line in body.split(";") if line.strip()
                      for field in declared(line, enums)]
               for name, body in re.findall(r"struct (\w+) \{(.*?)\}", api, re.S)}
    texts = {name: text for enum in enums.values() for name, text, _ in enum}
    yield START
    yield f"VERSION = {version()!r}"
    yield "ENUMS: Dict[str, Dict[str, int]] = {"
    for name, enum in enums.items():
        yield f"    {name!r}: {dict((text, value) for _, text, value in enum)},"
    yield "}"
    for name, fields in structs.items():
        yield f"class {name}(Struct):"
        yield f"    enums = {dict((field, base) for field, base, _ in fields if base in enums)}"
    yield "nn_callback = CFUNCTYPE(c_int, POINTER(nn_progress), c_void_p)"
    for name, fields in structs.items():
        pairs = ", ".join(f"({field!r}, {kind})" for field, _, kind in fields)
        yield f"{name}._fields_ = [{pairs}]"
    yield f"library: Any = CDLL(os.path.join(os.path.dirname(__file__), {LIBRARY!r}))"
    for result, name, arguments in re.findall(r"NN_DEF ([^()]*?)(\w+)\(([^()]*)\);", api):
        yield f"library.{name}.restype = {next(declared(result, enums))[2]}"
        kinds = (kind for text in arguments.split(",") for _, _, kind in declared(text, enums))
        yield f"library.{name}.argtypes = [{', '.join(kinds)}]"
        if result.strip() == "nn_status":
            yield f"library.{name}.errcheck = check"
    yield from layer_lines(macros.values(), structs["nn_layer"], texts)
    yield END


class BuildLibrary(build_ext):
    """Compiles a library for ctypes: no extension module, and the same for all Pythons."""

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split(".")[:-1], LIBRARY)

    def get_export_symbols(self, ext):
        return []

    def run(self):
        super().run()
        path = Path(self.get_ext_fullpath("nn._library")).with_name("_c.py")
        path.write_text("\n".join(binding_lines(HEADER.read_text("ascii"))) + "\n", "ascii")


class Wheel(bdist_wheel):
    """py3-none-PLATFORM: any Python 3 of the platform loads the library."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


if __name__ == "__main__":
    setup(version=version(), cmdclass={"build_ext": BuildLibrary, "bdist_wheel": Wheel},
          ext_modules=[Extension(
              "nn._library", ["nn.c"], include_dirs=[str(HEADER.parent)], depends=[str(HEADER)],
              libraries=[] if WINDOWS else ["m"],
              extra_compile_args=[] if WINDOWS else ["-O2", "-g0", "-fvisibility=hidden"])])
