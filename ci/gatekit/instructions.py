"""What each machine instruction of a library does: loads, stores, conditional branches, calls,
locked operations.

Input is `objdump -d` in AT&T syntax, where the last operand is the destination. Conventions of the
counts:
- an instruction that reads, changes and writes memory is one load and one store;
- push is a store and pop a load; the return address of call and ret is not counted;
- a branch is a conditional jump or an indirect jump that is not a call; a direct jump is only an
  instruction;
- locked is every instruction that locks: a lock prefix, or xchg with memory, which needs none.
"""

import re
from dataclasses import dataclass

import children

COLUMNS = ("insns", "loads", "stores", "branches", "calls", "locked")

PREFIXES = {
    "lock",
    "rep",
    "repz",
    "repnz",
    "repe",
    "repne",
    "notrack",
    "bnd",
    "data16",
    "cs",
    "ds",
    "es",
    "ss",
    "addr32",
    "xacquire",
    "xrelease",
    "rex",
    "rex.W",
    "{vex}",
    "{evex}",
}
MODIFY = re.compile(
    r"^(add|sub|and|or|xor|adc|sbb|inc|dec|neg|not|shl|shr|sal|sar|rol|ror|rcl|rcr|shld|shrd|xadd|"
    r"cmpxchg|cmpxchg8b|cmpxchg16b|btr|bts|btc|xchg)[bwlq]?$"
)
ONLY_READS = re.compile(
    r"^(cmp|test|bt|ucomis[sd]|comis[sd]|vucomis[sd]|vcomis[sd]|ptest|vptest|imul|mul|idiv|div|"
    r"ldmxcsr|vldmxcsr)[bwlq]?$"
)
WRITES = re.compile(
    r"^(v?mov\w*|v?extract\w*|v?pextr\w*|set\w+|stmxcsr|vstmxcsr|v?p?compress\w*|v?pscatter\w*|"
    r"fn?st\w*|sahf|vpmov\w+)$"
)
NO_ACCESS = re.compile(
    r"^(lea[bwlq]?|nop[bwlq]?|prefetch\w*|endbr64|ud2|int3|hlt|clflush\w*|cltq|cqto|cltd|cwtl|"
    r"pause|ret[bwlq]?|[lms]fence|cpuid|rdtsc|rdtscp|syscall|cld|std|v?zeroupper|vzeroall)$"
)
JUMP = re.compile(r"^j(?!mp)\w+$")


class UnknownInstruction(Exception):
    """An instruction with a memory destination that no rule knows: the rules must grow, a guess
    would be a wrong golden."""


@dataclass(frozen=True)
class Effect:
    loads: int = 0
    stores: int = 0
    branches: int = 0
    calls: int = 0
    locked: int = 0


@dataclass(frozen=True)
class Instruction:
    address: int
    text: str
    function: str
    effect: Effect
    repeats: bool


def split_operands(text):
    """Operands of an AT&T instruction; commas inside parentheses separate nothing."""
    operands, depth, current = [], 0, ""
    for character in text:
        if character == "," and depth == 0:
            operands.append(current.strip())
            current = ""
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        current += character
    if current.strip():
        operands.append(current.strip())
    return operands


def is_memory(operand):
    """True for `8(%rdi)`, `%fs:0x28`, `*0x10(%rip)`, `0x601040`; false for registers, `$3` and
    masks."""
    operand = operand.lstrip("*")
    if operand.startswith("$"):
        return False
    return "(" in operand or ":" in operand or bool(re.match(r"^-?0x[0-9a-f]+$", operand))


def effect_of(text):
    """Counts for one instruction as objdump writes it, without its comment."""
    words = text.split("#")[0].split("<")[0].strip().split(None, 1)
    locked = repeats = False
    while words and words[0].rstrip(",") in PREFIXES or (words and words[0].startswith("rex.")):
        locked = locked or words[0] == "lock"
        repeats = repeats or words[0].startswith("rep")
        words = words[1].split(None, 1) if len(words) > 1 else []
    if not words:
        return Effect(), False
    name = words[0].split(",")[0]
    operands = split_operands(words[1]) if len(words) > 1 else []
    memory = [is_memory(operand) for operand in operands]
    base = re.sub(r"[bwlq]$", "", name)

    if name.startswith("call"):
        return (
            Effect(
                calls=1, loads=int(bool(operands) and operands[0].startswith("*") and memory[0])
            ),
            False,
        )
    if name in ("jmp", "jmpq", "ljmp"):
        indirect = bool(operands) and operands[0].startswith("*")
        return Effect(branches=int(indirect), loads=int(indirect and memory[0])), False
    if JUMP.match(name) or name.startswith("loop"):
        return Effect(branches=1), False
    if NO_ACCESS.match(name):
        return Effect(), False
    if base == "push" or name == "pushf" or name == "pushfq":
        return Effect(stores=1, loads=int(any(memory))), False
    if base == "pop" and name != "popcnt" or name == "popfq":
        return Effect(loads=1, stores=int(any(memory))), False
    if name in ("leave", "leaveq"):
        return Effect(loads=1), False
    if base in ("stos", "movs", "lods", "scas", "cmps") and any(memory):
        # String instructions without operands in xmm registers: movs reads and writes, stos writes,
        # the others read.
        return Effect(loads=int(base != "stos"), stores=int(base in ("stos", "movs"))), repeats
    if not any(memory):
        return Effect(locked=int(locked)), repeats
    if base == "xchg":
        return Effect(loads=1, stores=1, locked=1), False
    destination = memory[-1]
    if MODIFY.match(name):
        return Effect(loads=1, stores=int(destination), locked=int(locked)), False
    if ONLY_READS.match(name) or not destination:
        return Effect(loads=1), False
    if WRITES.match(name):
        return Effect(stores=1), False
    raise UnknownInstruction(text)


def disassemble(library):
    """All instructions of a library by address."""
    command = ["objdump", "-d", "--no-show-raw-insn", "-w", library]
    output = children.captured(command, check=True).stdout
    listing, function = {}, "?"
    for line in output.splitlines():
        header = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if header:
            function = header.group(1)
            continue
        match = re.match(r"^\s*([0-9a-f]+):\t(.*)$", line)
        if match:
            listing[int(match.group(1), 16)] = (match.group(2).strip(), function)
    return listing


def instruction_at(listing, address):
    """The decoded instruction; an address that objdump did not see as a start is an error, never
    skipped."""
    if address not in listing:
        raise KeyError(f"no instruction starts at {address:#x}")
    text, function = listing[address]
    effect, repeats = effect_of(text)
    return Instruction(address, text, function, effect, repeats)


def compiler_of(library):
    """The compiler's own note in the library, for the head of the golden table."""
    output = children.captured(["readelf", "-p", ".comment", library]).stdout
    notes = re.findall(r"\]\s+(.*\S)", output)
    wanted = [note for note in notes if "clang" in note.lower()] or notes
    return wanted[0] if wanted else "unknown compiler"
