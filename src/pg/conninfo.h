// conninfo.h: where a database is, from a postgresql:// URL, without its secrets in any message.
//
// What libpq knows passes through: several hosts, target_session_attrs, sslmode, sslrootcert, … .
#pragma once

#include <string>

#include "base/result.h"

namespace trued::pg {

class ConnInfo {
 public:
  /// `invalid_argument` for what libpq does not understand; the message repeats nothing of the URL
  /// that could be a secret. Does not connect.
  /// `password`, if not empty, is used instead of one in the URL.
  [[nodiscard]] static Result<ConnInfo> parse(const std::string& url,
                                              const std::string& password = {});

  [[nodiscard]] const std::string& url() const { return url_; }
  /// Empty where libpq is to find one (~/.pgpass), or none is needed.
  [[nodiscard]] const std::string& password() const { return password_; }
  /// "postgresql://user@host:5432/db", for people: no password, no parameters.
  [[nodiscard]] const std::string& shown() const { return shown_; }
  /// How many hosts it names; at least 1.
  [[nodiscard]] unsigned hosts() const { return hosts_; }
  /// `text` with the password and the URL blotted out.
  [[nodiscard]] std::string without_secrets(std::string text) const;

 private:
  std::string url_;
  std::string shown_;
  std::string password_;
  unsigned hosts_ = 1;
};

}  // namespace trued::pg
