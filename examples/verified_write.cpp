// A write that is confirmed only when it was read back. Usage: verified_write [DIRECTORY]
#include <cstdio>

#include <trued/trued.h>

int main(int argc, char** argv) {
  namespace td = trued::v1;
  if (argc > 2) return 64;
  const char* directory = argc == 2 ? argv[1] : ".";

  // [write]
  auto session = td::Session::open({.ledger = ""});  // in memory; give a file to survive a crash
  if (!session) return 1;
  if (session->add_directory("site", directory)) return 1;
  if (session->start()) return 1;

  auto receipt = session->write_and_verify("site", {{"guide/start.md", "# Start here\n"}},
                                           {.key = "release-42"});
  if (!receipt) return 1;  // nothing was accepted; receipt.failure() says why
  std::printf("%s after %u attempt(s)\n", td::to_string(receipt->status), receipt->attempts);
  // [write]

  auto again = session->write_and_verify("site", {{"guide/start.md", "# Start here\n"}},
                                         {.key = "release-42"});
  if (!again) return 1;
  std::printf("the same key again: %s, %s\n", again->decision.c_str(), again->id.c_str());
  return receipt->status == td::Status::confirmed && again->id == receipt->id ? 0 : 1;
}
