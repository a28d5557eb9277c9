#!/usr/bin/env python3
"""Configures tiny projects with cmake/TruedLayers.cmake and expects forbidden edges to be refused.

No compiler is needed: a library without sources is an INTERFACE library, and the check runs at
configure time.
"""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(fixture LANGUAGES NONE)
list(APPEND CMAKE_MODULE_PATH "{modules}")
include(TruedLayers)
{body}
trued_check_layers()
"""

CHAIN = """
trued_library(NAME base LAYER base)
trued_library(NAME core LAYER core DEPS base)
trued_library(NAME json LAYER json DEPS base core)
trued_library(NAME ledger LAYER ledger DEPS core json base)
trued_library(NAME target LAYER target DEPS core json base)
"""


class Layers(unittest.TestCase):
    def configure(self, body: str) -> tuple[bool, str]:
        """Whether the configuration went through, and what it said, on one line."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "CMakeLists.txt"
            source.write_text(PROJECT.format(modules=ROOT / "cmake", body=body))
            done = subprocess.run(["cmake", "-G", "Ninja", "-S", folder, "-B", f"{folder}/build"],
                                  capture_output=True, text=True)
        return done.returncode == 0, " ".join((done.stdout + done.stderr).split())

    def assert_refused(self, body: str, *words: str) -> None:
        accepted, said = self.configure(body)
        self.assertFalse(accepted, "a forbidden edge was accepted")
        for word in words:
            self.assertIn(word, said)

    def test_allowed_edges_configure(self) -> None:
        accepted, said = self.configure(
            CHAIN + "trued_library(NAME engine LAYER engine DEPS ledger target json core base)")
        self.assertTrue(accepted, said)

    def test_an_edge_upwards_is_refused_and_named_with_the_allowed_ones(self) -> None:
        self.assert_refused(
            CHAIN + "trued_library(NAME bad LAYER core DEPS ledger)",
            "forbidden edge trued_bad (layer 'core') -> trued_ledger (layer 'ledger')",
            "layer 'core' may use: base")

    def test_the_bottom_may_use_nothing(self) -> None:
        self.assert_refused(CHAIN + "trued_library(NAME bad LAYER base DEPS json)",
                            "may use: nothing")

    def test_a_connector_may_not_use_the_ledger(self) -> None:
        self.assert_refused(CHAIN + "trued_library(NAME bad LAYER connector DEPS target ledger)",
                            "trued_bad (layer 'connector') -> trued_ledger")

    def test_the_engine_may_not_use_a_driver(self) -> None:
        self.assert_refused(
            CHAIN + "trued_library(NAME driver LAYER ledger_driver DEPS ledger)"
            "\ntrued_library(NAME bad LAYER engine DEPS driver)",
            "trued_bad (layer 'engine') -> trued_driver")

    def test_an_edge_inside_a_layer_is_refused_unless_listed(self) -> None:
        pair = (CHAIN + "trued_library(NAME one LAYER connector DEPS target)"
                "\ntrued_library(NAME two LAYER connector DEPS target one)")
        self.assert_refused(pair, "both are in layer 'connector'", "TRUED_SAME_LAYER_EDGES")
        accepted, said = self.configure('set(TRUED_SAME_LAYER_EDGES "two>one")\n' + pair)
        self.assertTrue(accepted, said)

    def test_what_ships_may_not_use_what_is_for_tests(self) -> None:
        fake = CHAIN + "trued_library(NAME fake LAYER ledger_driver DEPS ledger TESTONLY)\n"
        self.assert_refused(fake + "trued_library(NAME bad LAYER embed DEPS fake)",
                            "trued_bad ships and may not use trued_fake, which is TESTONLY")
        accepted, said = self.configure(
            fake + "trued_library(NAME good LAYER bench DEPS fake)\n"
            "trued_library(NAME tested LAYER engine DEPS ledger TEST_DEPS fake)")
        self.assertTrue(accepted, said)

    def test_a_dependency_that_does_not_exist_is_refused(self) -> None:
        self.assert_refused(CHAIN + "trued_library(NAME bad LAYER core DEPS bsae)",
                            "depends on trued_bsae, which no trued_library() defines")

    def test_an_unknown_layer_and_an_unknown_word_are_refused(self) -> None:
        self.assert_refused("trued_library(NAME bad LAYER middle)", "no layer 'middle'")
        self.assert_refused("trued_library(LIBS base NAME bad LAYER base)", "unknown words LIBS")


if __name__ == "__main__":
    unittest.main()
