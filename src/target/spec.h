// spec.h: what a target is to be, before it is opened. Plain values, from a file, the command line
// or the library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/policy.h"

namespace trued {

/// What consumers read: checked as a second level.
struct ServingSpec {
  std::string url;  ///< "https://docs.example.com/${artifact.path}"
  std::vector<std::pair<std::string, std::string>> headers;
};

/// A database whose effects are statements in one transaction with a marker row of ours.
struct PostgresSpec {
  std::string url;  ///< "postgresql://user@host/db?sslmode=verify-full"; may hold a password
  std::string marker_table = "trued_marker";  ///< or "schema.table"; spelled as it is, unquoted
  std::uint32_t pool_max = 8;                 ///< connections at a time
  Duration statement_timeout{30'000};         ///< of one statement; never past the call's own end
};

struct TargetSpec {
  std::string name;
  std::string kind;      ///< "file", "git", "memory" or "postgres"
  std::string location;  ///< directory, or repository path or URL; without any secret
  std::string branch;    ///< git: empty for the one that the repository's HEAD names
  std::string author_name = "Trued";
  std::string author_email = "trued@localhost";
  std::string bearer_token;
  std::string username;
  std::string password;
  PostgresSpec postgres;  ///< of kind "postgres"
  std::optional<ServingSpec> serving;
  Policy policy;
};

/// The bounds that suit a kind: how long its store settles, how long a serving level may lag.
[[nodiscard]] Policy default_policy(const std::string& kind);

/// What a policy promises must fit together: attempts and reads end before the memory of the key
/// does. Empty when it does, else the sum that does not fit.
[[nodiscard]] std::string check_retention(const Policy& policy);

}  // namespace trued
