"""The judge can tell: histories written by hand, and many drawn and broken at random."""

import dataclasses
import math
import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import judge  # noqa: E402
from judge import Operation  # noqa: E402


def history(*lines):
    """Each line: op, in, out, status, call, ret[, saw]; all of one key."""
    return [Operation(number, "k", op, given, out, status, call, math.inf if ret is None else ret,
                      saw[0] if saw else "")
            for number, (op, given, out, status, call, ret, *saw) in enumerate(lines)]


LEGAL = {
    "one submit, found": [
        ("submit", "a", "1", "ok", 1, 2), ("get", "", "1", "ok", 3, 4)],
    "a repeat and a conflict": [
        ("submit", "a", "1", "ok", 1, 2), ("submit", "a", "1", "ok", 3, 4),
        ("submit", "b", "1", "conflict", 3, 5)],
    "the conflict returns first": [
        ("submit", "a", "1", "ok", 1, 9), ("submit", "b", "", "conflict", 2, 3)],
    "not found while it is under way": [
        ("submit", "a", "1", "ok", 1, 9), ("get", "", "", "ok", 2, 3),
        ("get", "", "1", "ok", 4, 5)],
    "unknown, and it was": [
        ("submit", "a", "", "unknown", 1, 2), ("get", "", "", "ok", 3, 4),
        ("get", "", "1", "ok", 5, 6, "a"), ("submit", "b", "1", "conflict", 7, 8)],
    "unknown, and it never was": [
        ("submit", "a", "", "unknown", 1, None), ("submit", "b", "1", "ok", 3, 4),
        ("submit", "a", "1", "conflict", 5, 6)],
    "of two unknown ones the second won": [
        ("submit", "a", "", "unknown", 1, 2), ("submit", "b", "", "unknown", 3, 4),
        ("submit", "a", "", "conflict", 5, 6), ("submit", "b", "1", "ok", 5, 6)],
    "refused for certain, then another": [
        ("submit", "a", "", "fail", 1, 2), ("submit", "b", "1", "ok", 3, 4)],
    "a register": [
        ("read", "", "", "ok", 1, 2), ("write", "x", "", "ok", 3, 4),
        ("read", "", "x", "ok", 5, 6)],
    "concurrent writes in the other order": [
        ("write", "x", "", "ok", 1, 10), ("write", "y", "", "ok", 2, 9),
        ("read", "", "y", "ok", 3, 4), ("read", "", "x", "ok", 11, 12)],
    "an unknown write that lands late": [
        ("write", "x", "", "unknown", 1, 2), ("write", "y", "", "ok", 3, 4),
        ("read", "", "y", "ok", 5, 6), ("read", "", "x", "ok", 7, 8)],
    "one instant is no order": [
        ("write", "x", "", "ok", 1, 5), ("read", "", "", "ok", 5, 6)],
}

# With a word that must be in the explanation, and how many operations it takes to see it.
ILLEGAL = {
    "two winners": ("two operations", 2, [
        ("submit", "a", "1", "ok", 1, 2), ("submit", "a", "2", "ok", 3, 4),
        ("get", "", "1", "ok", 5, 6)]),
    "two bodies": ("two bodies", 2, [
        ("submit", "a", "1", "ok", 1, 4), ("submit", "b", "1", "ok", 2, 3)]),
    "lost": ("not found later", 2, [
        ("submit", "a", "1", "ok", 1, 2), ("get", "", "1", "ok", 2, 3),
        ("get", "", "", "ok", 3, 4)]),
    "seen, then not": ("not found later", 2, [
        ("submit", "a", "", "unknown", 1, 2), ("get", "", "1", "ok", 3, 4),
        ("get", "", "", "ok", 5, 6)]),
    "a conflict with nobody": ("conflict", 1, [
        ("get", "", "", "ok", 1, 2), ("submit", "a", "", "conflict", 3, 4)]),
    "a conflict with itself": ("conflict", 2, [
        ("submit", "a", "1", "ok", 1, 2), ("submit", "a", "1", "conflict", 3, 4)]),
    "a failure that was seen": ("nobody", 1, [
        ("submit", "a", "", "fail", 1, 2), ("get", "", "1", "ok", 3, 4)]),
    "the wrong one of two": ("two bodies", 3, [
        ("submit", "a", "", "unknown", 1, 2), ("submit", "b", "1", "ok", 3, 4),
        ("get", "", "1", "ok", 5, 6, "a")]),
    "a stale read": ("older", 3, [
        ("write", "x", "", "ok", 1, 2), ("write", "y", "", "ok", 3, 4),
        ("read", "", "x", "ok", 5, 6)]),
    "back and forth": ("older", 4, [
        ("write", "x", "", "ok", 1, 9), ("write", "y", "", "ok", 2, 9),
        ("read", "", "x", "ok", 10, 11), ("read", "", "y", "ok", 12, 13)]),
    "a lost write": ("nothing was read", 2, [
        ("write", "x", "", "ok", 1, 2), ("read", "", "", "ok", 3, 4)]),
    "a failed write that was seen": ("refused for certain", 2, [
        ("write", "x", "", "fail", 1, 2), ("read", "", "x", "ok", 3, 4)]),
    "out of thin air": ("nobody", 1, [("read", "", "x", "ok", 3, 4)]),
    "seen before it was written": ("nobody", 1, [
        ("read", "", "x", "ok", 1, 2), ("write", "x", "", "ok", 3, 4)]),
}


class ByHand(unittest.TestCase):
    def test_legal_ones(self):
        for name, lines in LEGAL.items():
            with self.subTest(name):
                verdict = judge.judge(history(*lines))
                self.assertEqual(verdict.violations, [], str(verdict))

    def test_illegal_ones_are_explained_by_what_matters(self):
        for name, (word, count, lines) in ILLEGAL.items():
            with self.subTest(name):
                verdict = judge.judge(history(*lines))
                self.assertEqual(len(verdict.violations), 1, name)
                self.assertIn(word, verdict.violations[0]["why"])
                self.assertEqual(len(verdict.violations[0]["operations"]), count, str(verdict))

    def test_one_operation_answers_to_one_key(self):
        first, second = history(("submit", "a", "1", "ok", 1, 2), ("submit", "a", "1", "ok", 3, 4))
        second.key = "other"
        verdict = judge.judge([first, second])
        self.assertIn("also answers to the key k", verdict.violations[0]["why"])

    def test_the_first_in_time_is_named_first(self):
        bad = ILLEGAL["two winners"][2]
        late = history(*[(*line[:4], line[4] + 100, line[5] + 100) for line in bad])
        for one in late:
            one.key, one.out = "a", "late" + one.out
        verdict = judge.judge(late + history(*bad))
        self.assertEqual([each["key"] for each in verdict.violations], ["k", "a"])

    def test_lines_are_read_back_as_they_were_written(self):
        for lines in LEGAL.values():
            for one in history(*lines):
                self.assertEqual(judge.parse_line(one.line()), one)

    def test_what_is_no_operation_is_refused_with_its_line(self):
        good = history(LEGAL["one submit, found"][0])[0].line()
        for text in ("{", "[]", '{"client":1}', good.replace('"ok"', '"maybe"'),
                     good.replace('"ret": 2', '"ret": 0'), good.replace('"ret": 2', '"ret": null'),
                     good.replace('"submit"', '"cas"')):
            with self.subTest(text), self.assertRaisesRegex(judge.Malformed, "line 7: "):
                judge.parse_line(text, 7)
        mixed = history(("submit", "a", "1", "ok", 1, 2), ("read", "", "", "ok", 3, 4))
        with self.assertRaisesRegex(judge.Malformed, "two models"):
            judge.judge(mixed)


class World:
    """One key of a real system: every operation happens at one point between call and return."""

    def __init__(self, chance, register, prefix="v"):
        self.chance, self.register, self.prefix = chance, register, prefix
        self.body = self.ident = ""
        self.made = 0

    def happen(self, one):
        """What it answers at its point in time."""
        if one.op == "read":
            one.out = self.body
        elif one.op == "write":
            self.body = one.given
        else:
            if one.op == "submit" and not self.ident:
                self.body, self.ident = one.given, f"{self.prefix}op"
            if one.op == "submit" and one.given != self.body:
                one.status = "conflict"
            one.out = self.ident
            one.saw = self.body if self.chance.random() < 0.5 else ""

    def next(self, number, point):
        self.made += 1
        op = self.chance.choice(judge.REGISTER if self.register else judge.KEYED)
        given = ("" if op in ("get", "read") else f"{self.prefix}{self.made}" if self.register
                 else self.chance.choice("abc"))
        before, after = self.chance.randrange(40), self.chance.randrange(40)
        return Operation(number % 8, self.prefix, op, given, "", "ok",
                         point - before, point + after)

    def history(self, count):
        """In the order of what really happened; some fail, and of some nobody heard an answer."""
        done = []
        for number in range(count):
            one = self.next(number, 100 + 10 * number)
            fate = self.chance.random()
            if one.changes() and fate < 0.1:
                one.status = "fail"
            elif one.changes() and fate < 0.25:
                if self.chance.random() < 0.6:
                    self.happen(one)
                one = one.perhaps()
            else:
                self.happen(one)
            done.append(one)
        return done


class AtRandom(unittest.TestCase):
    ROUNDS = 600

    def worlds(self):
        for seed in range(self.ROUNDS):
            chance = random.Random(seed)
            done = World(chance, register=seed % 2 == 0).history(chance.randint(1, 25))
            yield seed, chance, done

    def test_what_really_happened_is_always_legal(self):
        for seed, chance, done in self.worlds():
            chance.shuffle(done)
            verdict = judge.judge(done)
            self.assertFalse(verdict.violations, f"seed {seed}: {verdict}")

    def test_a_file_can_be_cut_off_anywhere_in_time(self):
        for seed, chance, done in self.worlds():
            verdict = judge.judge(judge.cut(done, chance.randrange(400)))
            self.assertFalse(verdict.violations, f"seed {seed}: {verdict}")

    def broken(self, change):
        """How many histories a change was made to; every one of them must be found."""
        count = 0
        for seed, chance, done in self.worlds():
            # After everything else, so that no other order is left for what is added there.
            end = 1000 + max((one.ret for one in done if one.ret < math.inf), default=0)
            if change(chance, done, end):
                count += 1
                verdict = judge.judge(done)
                self.assertTrue(verdict.violations, f"seed {seed} was broken and not found")
                self.assertTrue(judge.shown(verdict.violations[0]))
        self.assertGreater(count, self.ROUNDS / 10)

    @staticmethod
    def sure(done, op):
        return [one for one in done if one.op == op and one.status == "ok"]

    def test_a_second_winner_is_found(self):
        def change(_, done, end):
            if not self.sure(done, "submit"):
                return False
            done.append(Operation(9, "v", "submit", "a", "another", "ok", end, end + 1))
            return True
        self.broken(change)

    def test_an_answer_swapped_for_that_of_another_key_is_found(self):
        def change(chance, done, _):
            answers = [one for one in done if one.out and one.op in judge.KEYED]
            if len(answers) < 2:
                return False
            chance.choice(answers).out = "elsewhere"
            return True
        self.broken(change)

    def test_a_conflict_where_it_had_won_is_found(self):
        def change(chance, done, end):
            answered = self.sure(done, "submit")
            if not answered:
                return False
            done.append(dataclasses.replace(chance.choice(answered), status="conflict", call=end,
                                            ret=end + 1))
            return True
        self.broken(change)

    def test_a_failure_that_is_seen_is_found(self):
        def change(_, done, end):
            if done[0].op not in judge.REGISTER:
                return False
            done.append(Operation(9, "v", "write", "refused", "", "fail", end, end + 1))
            done.append(Operation(9, "v", "read", "", "refused", "ok", end + 2, end + 3))
            return True
        self.broken(change)

    def test_a_stale_read_is_found(self):
        def change(chance, done, end):
            writes = self.sure(done, "write")
            if not writes:
                return False
            done.append(Operation(9, "v", "write", "newest", "", "ok", end, end + 1))
            done.append(Operation(9, "v", "read", "", chance.choice(["", writes[0].given]), "ok",
                                  end + 2, end + 3))
            return True
        self.broken(change)

    def test_what_was_acknowledged_and_is_gone_is_found(self):
        def change(_, done, end):
            if not self.sure(done, "submit"):
                return False
            done.append(Operation(9, "v", "get", "", "", "ok", end, end + 1))
            return True
        self.broken(change)


def brute(model, operations):
    """Every order of every choice of what may have happened: the oracle for small histories."""
    apply, start = model
    must = [one for one in operations if one.status in ("ok", "conflict")]
    may = [one for one in operations if one.status == "unknown" and one.changes()]

    def go(state, left, perhaps):
        if not left:
            return True
        first = min(one.ret for one in left)
        for one in [*left, *perhaps]:
            after = apply(state, one) if one.call <= first else None
            if after is not None and go(after, [each for each in left if each is not one],
                                        [each for each in perhaps if each is not one]):
                return True
        return False
    return go(start, must, may)


class AgainstAnOracle(unittest.TestCase):
    def test_small_histories_are_judged_as_by_trying_every_order(self):
        seen = {True: 0, False: 0}
        for seed in range(3000):
            chance = random.Random(seed)
            done = World(chance, register=seed % 2 == 0).history(chance.randint(1, 7))
            for _ in range(chance.randint(0, 6)):
                one, other = chance.choice(done), chance.choice(done)
                if one.op == other.op:
                    at = done.index(one)
                    done[at] = dataclasses.replace(one, out=other.out, saw="", given=other.given)
            model = judge.model_of(done)
            expected = brute(model, done)
            seen[expected] += 1
            self.assertEqual(judge.explained(*model, done), expected,
                             f"seed {seed}\n" + "\n".join(one.line() for one in done))
        self.assertGreater(min(seen.values()), 300, seen)


class Large(unittest.TestCase):
    def test_24000_operations_over_2000_keys_are_judged_while_one_waits(self):
        everything = []
        for key in range(2000):
            everything += World(random.Random(key), key % 2 == 0, prefix=f"k{key}-").history(12)
        begin = time.process_time()
        verdict = judge.judge(everything)
        # A generous bound: the search must not be of another kind than linear.
        self.assertLess(time.process_time() - begin, 30)
        self.assertEqual((verdict.operations, verdict.keys), (24_000, 2000))
        self.assertFalse(verdict.violations, str(verdict))

    def test_a_key_with_thousands_of_operations_is_no_harder(self):
        for register in (True, False):
            done = World(random.Random(5), register).history(5000)
            self.assertFalse(judge.judge(done).violations)


if __name__ == "__main__":
    unittest.main(verbosity=1)
