"""Judges a recorded history: is there, for each key, one order that explains every answer?

A history is JSON lines, one operation each (docs/history.md). Keys are independent of each other,
so each is judged by itself: a search over the orders that time allows, which remembers what it has
tried (the operations placed so far, and the state they lead to). Two models:

    submit, get     one body wins a key, under one operation id; who comes later with the same
                    body is answered the same id, with another of a conflict
    read, write     a register

`ok` and `conflict` took effect between call and return; `unknown` takes effect at any time after
its call, or never; `fail` never did, so it is left out, and whoever saw it is inexplicable.
"""

import dataclasses
import json
import math
import time

STATUSES = ("ok", "fail", "unknown", "conflict")
KEYED, REGISTER = ("submit", "get"), ("read", "write")


class Malformed(Exception):
    """A line that is no operation; where and why."""


@dataclasses.dataclass
class Operation:
    client: int
    key: str
    op: str
    given: str       # `in`: the body that was submitted, the value that was written
    out: str         # the operation id that was answered, the value that was read; "" is nothing
    status: str
    call: int
    ret: float       # infinite where nobody waited for the answer
    saw: str = ""    # the body that the answer was about, where that was recorded

    def line(self):
        fields = {"client": self.client, "key": self.key, "op": self.op, "in": self.given,
                  "out": self.out, "status": self.status, "call": self.call,
                  "ret": None if math.isinf(self.ret) else self.ret}
        return json.dumps({**fields, "saw": self.saw} if self.saw else fields)

    def changes(self):
        return self.op in ("submit", "write") and self.status != "conflict"

    def perhaps(self):
        """The same, for all that is known at a time before its answer."""
        return dataclasses.replace(self, status="unknown", out="", saw="", ret=math.inf)


def parse_line(text, number=0):
    try:
        fields = json.loads(text)
        ret = fields["ret"]
        one = Operation(fields["client"], fields["key"], fields["op"], fields.get("in") or "",
                        fields.get("out") or "", fields["status"], fields["call"],
                        math.inf if ret is None else ret, fields.get("saw") or "")
        if one.op not in KEYED + REGISTER or one.status not in STATUSES:
            raise ValueError(f"op {one.op!r} with status {one.status!r}")
        if one.ret < one.call:
            raise ValueError("it returned before it was called")
        if one.ret == math.inf and one.status != "unknown":
            raise ValueError("only what is unknown may be without a return")
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        raise Malformed(f"line {number}: {type(why).__name__}: {why}") from why
    return one


def load(path):
    with open(path, encoding="utf-8") as file:
        return [parse_line(text, number) for number, text in enumerate(file, 1) if text.strip()]


# ---- the models ----------------------------------------------------------------------------------
# apply(state, operation) is the state after it, or None where its answer cannot be explained.

NOTHING = ("", "")


def apply_keyed(state, one):
    """State: the body that won and the operation's id; either may not be known yet."""
    body, ident = state
    if one.op == "get" and not one.out:
        return state if state == NOTHING else None
    if one.status == "unknown":
        return (one.given, "") if state == NOTHING and one.op == "submit" else state
    if one.op == "submit" and one.status == "ok" and state == NOTHING:
        body = one.given
    if not body:
        return None
    if one.op == "submit" and (one.given == body) != (one.status == "ok"):
        return None
    if one.saw not in ("", body) or (one.out and ident not in ("", one.out)):
        return None
    return (body, one.out or ident)


def apply_register(state, one):
    if one.op == "write":
        return one.given
    return state if one.status == "unknown" or state == one.out else None


# ---- the search ----------------------------------------------------------------------------------

def sort_out(operations):
    """What must be placed and what may be, each by its call."""
    must = [one for one in operations if one.status in ("ok", "conflict")]
    may = [one for one in operations if one.status == "unknown" and one.changes()]
    if may and may[0].op == "write":
        # One that nobody read can as well never have taken effect.
        read = {one.out for one in must if one.op == "read"}
        may = [one for one in may if one.given in read]
    must.sort(key=lambda one: (one.call, one.ret))
    may.sort(key=lambda one: one.call)
    return must, may


def next_ones(must, low, done):
    """Which may come next: those called before the first of the others returned; and that time."""
    found, first = [], math.inf
    for index in range(low, len(must)):
        one = must[index]
        if one.call > first:
            break
        if not done >> index & 1:
            found.append(index)
            first = min(first, one.ret)
    return [index for index in found if must[index].call <= first], first


def wanted(perhaps, candidates):
    """Whether it is worth a try now: a write that may have happened did so right before a read."""
    return perhaps.op == "submit" or any(one.op == "read" and one.out == perhaps.given
                                         for one in candidates)


def steps(apply, must, may, position):
    """The positions that follow one; (lowest open index, placed, perhaps placed, state)."""
    low, done, used, state = position
    candidates, first = next_ones(must, low, done)
    following = []
    for index in candidates:
        after = apply(state, must[index])
        if after is None:
            continue
        placed = done | 1 << index
        now = low
        while placed >> now & 1:
            now += 1
        step = (now, placed, used, after)
        if after == state and must[index].op != "write":
            return [step]  # what only looks can come first: no other order is better
        following.append(step)
    for index, one in enumerate(may):
        if one.call > first:
            break
        if used >> index & 1 or not wanted(one, [must[each] for each in candidates]):
            continue
        after = apply(state, one)
        if after not in (None, state):
            following.append((low, done, used | 1 << index, after))
    return following


def explained(apply, start, operations):
    """Whether some order explains all of one key's answers."""
    must, may = sort_out(operations)
    everything = (1 << len(must)) - 1
    stack, tried = [(0, 0, 0, start)], set()
    while stack:
        position = stack.pop()
        if position[1] == everything:
            return True
        if position[1:] in tried:
            continue
        tried.add(position[1:])
        # The last is tried first: what is known to have happened before what only may have.
        stack.extend(reversed(steps(apply, must, may, position)))
    return False


MODELS = {KEYED: (apply_keyed, NOTHING), REGISTER: (apply_register, "")}


def model_of(operations):
    for family, model in MODELS.items():
        if all(one.op in family for one in operations):
            return model
    raise Malformed(f"key {operations[0].key!r} has operations of two models")


# ---- saying why ----------------------------------------------------------------------------------

def cut(operations, end):
    """What was known of a history at some time."""
    return [one if one.ret <= end else one.perhaps() for one in operations
            if one.call <= end and (one.ret <= end or one.op in ("submit", "write"))]


def first_inexplicable(model, operations):
    """The shortest beginning of a history that no order explains, and the answer that ended it."""
    answers = sorted((one for one in operations if one.status in ("ok", "conflict")),
                     key=lambda one: one.ret)
    low, high = 0, len(answers) - 1
    while low < high:
        middle = (low + high) // 2
        if explained(*model, cut(operations, answers[middle].ret)):
            low = middle + 1
        else:
            high = middle
    return cut(operations, answers[low].ret), answers[low]


def those_that_matter(model, operations, culprit):
    """The same with fewer: what may be left out (reads) or weakened (changes) is."""
    kept = list(operations)
    for one in operations:
        if one is culprit or one.status == "fail":
            continue
        others = [each for each in kept if each is not one]
        if one.changes() and one.status == "ok":
            others.append(one.perhaps())
        elif one.changes():
            continue
        if not explained(*model, others):
            kept = others
    touched = {value for one in kept if one is culprit or one.status in ("ok", "conflict")
               for value in (one.given, one.out, one.saw)}
    return sorted((one for one in kept if one is culprit or one.status in ("ok", "conflict") or
                   one.given in touched), key=lambda one: one.call)


def why_keyed(culprit, before):
    ids = sorted({one.out for one in before if one.status == "ok" and one.out})
    bodies = sorted({one.given for one in before if one.op == "submit" and one.status == "ok"} |
                    {one.saw for one in before if one.saw})
    if len(ids) > 1:
        return "two operations answer to one key: " + " and ".join(ids[:3])
    if len(bodies) > 1:
        return "two bodies won one key: " + " and ".join(bodies[:3])
    if culprit.op == "get" and not culprit.out:
        return "it was acknowledged, and not found later"
    if culprit.status == "conflict":
        return "it was refused as a conflict, although no other body can have won the key"
    return "an operation was found that nobody can have had accepted"


def why_register(culprit, before):
    writes = [one for one in before if one.op == "write" and one.given == culprit.out]
    if not culprit.out:
        return "nothing was read, although a write had been confirmed"
    if all(one.status == "fail" for one in writes):
        return ("a write was seen that had been refused for certain" if writes else
                "a value was read that nobody had written")
    return "an older value was read after a newer one stood there"


def explain(key, operations):
    """What is wrong with a key, in one sentence and its fewest operations."""
    model = model_of(operations)
    beginning, culprit = first_inexplicable(model, operations)
    fewest = those_that_matter(model, beginning, culprit)
    why = (why_keyed if culprit.op in KEYED else why_register)(culprit, fewest)
    return {"key": key, "why": why, "at": culprit.ret, "operations": fewest}


def shown(violation):
    """For people; times count from the first call that matters."""
    begin = violation["operations"][0].call
    lines = [f"key {violation['key']}: {violation['why']}"]
    for one in violation["operations"]:
        end = "…" if math.isinf(one.ret) else f"+{one.ret - begin}"
        said = f" -> {one.out}" if one.out else " -> nothing" if one.op in ("get", "read") else ""
        what = " ".join(filter(None, [one.op, one.given]))
        lines.append(f"  +{one.call - begin} to {end}  client {one.client}  {what}: "
                     f"{one.status}{said}{' (' + one.saw + ')' if one.saw else ''}")
    return "\n".join(lines)


# ---- the verdict ---------------------------------------------------------------------------------

@dataclasses.dataclass
class Verdict:
    operations: int
    keys: int
    statuses: dict
    seconds: float
    violations: list   # as explain() gives them, the first in time first

    def as_json(self):
        return {"operations": self.operations, "keys": self.keys, "statuses": self.statuses,
                "judged_in_seconds": round(self.seconds, 3), "legal": not self.violations,
                "violations": [{**each, "operations": [json.loads(one.line())
                                                       for one in each["operations"]]}
                               for each in self.violations]}

    def __str__(self):
        counts = ", ".join(f"{count:,} {name}" for name, count in self.statuses.items() if count)
        text = (f"{self.operations:,} operations over {self.keys:,} keys ({counts}), judged in "
                f"{self.seconds:.2f} s: ")
        if not self.violations:
            return text + "legal"
        more = len(self.violations) - 1
        return (text + f"ILLEGAL\n{shown(self.violations[0])}" +
                (f"\n… and {more:,} more key{'s' * (more > 1)}" if more else ""))


def shared_ids(by_key):
    """An operation belongs to one key: who answers it for two is found here."""
    owner = {}
    for key, operations in by_key.items():
        for one in operations:
            if one.op not in KEYED or not one.out:
                continue
            other = owner.setdefault(one.out, one)
            if other.key != key:
                yield {"key": key, "why": f"{one.out} also answers to the key {other.key}",
                       "at": max(one.ret, other.ret), "operations": [other, one]}
                break


def judge(operations):
    begin = time.monotonic()
    by_key = {}
    for one in operations:
        by_key.setdefault(one.key, []).append(one)
    bad = {key: explain(key, each) for key, each in by_key.items()
           if not explained(*model_of(each), each)}
    for each in shared_ids(by_key):
        bad.setdefault(each["key"], each)
    statuses = {name: sum(one.status == name for one in operations) for name in STATUSES}
    return Verdict(len(operations), len(by_key), statuses, time.monotonic() - begin,
                   sorted(bad.values(), key=lambda each: each["at"]))
