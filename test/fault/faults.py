"""Faults on the real binary, with a table of what held: ./dev fault [NAME…] [--quick]

Each case says what is broken, and fails unless nothing acknowledged was lost, nothing was falsely
confirmed, errors were clear, memory stayed bounded, and the server recovered without a person.
Cases that need privileges (mounting, tracing) are skipped where those are missing, and say so.
"""

import argparse
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from client_faults import (bodies_without_end, half_open_connections,  # noqa: E402
                           hostile_configuration, hostile_requests, idle_connections, slow_clients)
from load import Load  # noqa: E402
from place import Place, Skip  # noqa: E402
from storage_faults import (disk_turns_read_only, full_disk, killed_in_a_sync,  # noqa: E402
                            read_only_disk, short_writes, slow_disk, sync_fails_often,
                            sync_fails_once, writes_find_no_space)
from trued_server import BINARY, Scratch  # noqa: E402


# ---- the process ---------------------------------------------------------------------------------

def stopped_and_continued():
    """SIGSTOP for 2 s under load, three times"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server() as server:
            def pause():
                for _ in range(3):
                    time.sleep(0.3)
                    server.process.send_signal(signal.SIGSTOP)
                    time.sleep(2)
                    server.process.send_signal(signal.SIGCONT)
                time.sleep(0.3)
            load.during(server, pause)
            return load.check(server, place.state, place.site)


def clock_jumps():
    """the wall clock goes back two days and forward ten under load"""
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    if not os.path.exists(library):
        raise Skip("libfaketime is not installed")
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        stamp = os.path.join(scratch.path, "faketime")

        def set_clock(offset):
            with open(stamp + ".new", "w", encoding="ascii") as file:
                file.write(offset + "\n")
            os.replace(stamp + ".new", stamp)

        set_clock("+0")
        environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": stamp,
                       "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        with place.server(environment=environment) as server:
            def jump():
                for offset in ("-2d", "+10d", "+0"):
                    time.sleep(0.7)
                    set_clock(offset)
                time.sleep(0.7)
            load.during(server, jump)
            _, _, page = server.request("GET", "/v1/operations?status=pending")
            assert not page["operations"], "something still waits after the clock went back"
            up = server.request("GET", "/v1/status")[2]["uptime_ms"]
            assert 0 <= up < 60_000, f"it says that it has been up for {up} ms"
            return load.check(server, place.state, place.site)


def out_of_descriptors():
    """60 file descriptors, 300 connections"""
    with Scratch() as scratch:
        place, load = Place(scratch), Load()
        with place.server(["prlimit", "--nofile=60:60"]) as server:
            load.write_one(server)
            crowd = []
            for _ in range(300):
                try:
                    crowd.append(socket.create_connection((server.host, server.port), timeout=1))
                except OSError:
                    break
            time.sleep(0.5)
            for one in crowd:
                one.close()
            end = time.monotonic() + 15
            while True:
                try:
                    if load.write_one(server) < 300:
                        break
                except OSError:
                    pass
                assert time.monotonic() < end, "it serves nobody after the crowd has gone"
            return f"{len(crowd)} connections; " + load.check(server, place.state, place.site)


QUICK = [hostile_requests, hostile_configuration, bodies_without_end, out_of_descriptors]
ALL = [sync_fails_once, sync_fails_often, writes_find_no_space, killed_in_a_sync, slow_disk,
       short_writes, full_disk, read_only_disk, disk_turns_read_only, stopped_and_continued,
       clock_jumps, out_of_descriptors, slow_clients, idle_connections, half_open_connections,
       bodies_without_end, hostile_requests, hostile_configuration]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="cases; all if none is named")
    parser.add_argument("--quick", action="store_true", help="without privileges, in seconds")
    options = parser.parse_args()
    cases = [case for case in (QUICK if options.quick else ALL)
             if not options.names or case.__name__ in options.names]
    unknown = set(options.names) - {case.__name__ for case in cases}
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(case.__name__ for case in ALL)}")
    failed = 0
    for case in cases:
        begin = time.monotonic()
        try:
            result, said = "held", case()
        except Skip as why:
            result, said = "skipped", str(why)
        except Exception as fault:  # whatever went wrong, the table goes on
            result, said = "FAILED", f"{type(fault).__name__}: {fault}"
            failed += 1
        print(f"{result:<8} {time.monotonic() - begin:5.1f} s  {case.__doc__}: {said}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} faults: nothing broke")
    return 1 if failed else 0


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TRUED_BINARY names no binary")
    sys.exit(main())
