// result.h: a value or an error, with the names of std::expected.
//
// [[nodiscard]] throughout: a dropped result does not compile quietly. Access to the wrong side is
// a programmer's error and asserts.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/error.h"

namespace trued {

template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = E;

  template <class U = T>
    requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, E>)
  // NOLINTNEXTLINE(google-explicit-constructor): returns read as values.
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  [[nodiscard]] T& value() & { return checked_value(); }
  [[nodiscard]] const T& value() const& {
    TRUED_ASSERT(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && { return std::move(checked_value()); }

  [[nodiscard]] E& error() & { return checked_error(); }
  [[nodiscard]] const E& error() const& {
    TRUED_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] E&& error() && { return std::move(checked_error()); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  T& checked_value() {
    TRUED_ASSERT(has_value());
    return *std::get_if<0>(&state_);
  }
  E& checked_error() {
    TRUED_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }

  std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  void value() const { TRUED_ASSERT(has_value()); }
  [[nodiscard]] E& error() & {
    TRUED_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] const E& error() const& {
    TRUED_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] E&& error() && {
    TRUED_ASSERT(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<std::monostate, E> state_;
};

}  // namespace trued

#define TRUED_CONCAT_INNER(a, b) a##b
#define TRUED_CONCAT(a, b) TRUED_CONCAT_INNER(a, b)
#define TRUED_TRY_IMPL(temporary, declaration, expression)         \
  auto temporary = (expression);                                   \
  if (!temporary.has_value()) return std::move(temporary).error(); \
  declaration = std::move(temporary).value()

/// TRUED_TRY(auto x, f()): x is the value of f(), or the enclosing function returns f()'s error.
#define TRUED_TRY(declaration, expression) \
  TRUED_TRY_IMPL(TRUED_CONCAT(trued_try_, __COUNTER__), declaration, expression)

/// The same for a Result<void>, or where the value does not matter.
#define TRUED_TRY_VOID(expression)                                             \
  do {                                                                         \
    if (auto trued_try_result = (expression); !trued_try_result.has_value()) { \
      return std::move(trued_try_result).error();                              \
    }                                                                          \
  } while (false)
