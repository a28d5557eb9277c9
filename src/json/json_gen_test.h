// json_gen_test.h: JSON documents made up by rapidcheck, small and with names that recur.
#pragma once

#include <cstdint>
#include <map>
#include <rapidcheck.h>
#include <string>
#include <utility>

#include "json/value.h"

namespace trued::json {

inline rc::Gen<Value> arbitrary_json(int depth = 3) {
  auto scalar = rc::gen::oneOf(
      rc::gen::just(Value()),
      rc::gen::map(rc::gen::arbitrary<bool>(), [](bool b) { return Value(b); }),
      rc::gen::map(rc::gen::inRange<std::int64_t>(-3, 4), [](std::int64_t i) { return Value(i); }),
      rc::gen::map(rc::gen::inRange(-3, 4), [](int i) { return Value(i / 4.0); }),
      rc::gen::map(rc::gen::element<std::string>("", "a", "${input.a}", "$${", "x/y", "é"),
                   [](std::string text) { return Value(std::move(text)); }));
  if (depth == 0) return scalar;
  const auto below = arbitrary_json(depth - 1);
  const auto name = rc::gen::element<std::string>("a", "b", "c/d", "~", "é");
  return rc::gen::oneOf(
      scalar,
      rc::gen::map(rc::gen::resize(3, rc::gen::container<std::vector<Value>>(below)),
                   [](std::vector<Value> items) { return Value(std::move(items)); }),
      rc::gen::map(
          rc::gen::resize(4, rc::gen::container<std::map<std::string, Value>>(name, below)),
          [](std::map<std::string, Value> members) {
            return Value(Value::Object(members.begin(), members.end()));
          }));
}

}  // namespace trued::json
