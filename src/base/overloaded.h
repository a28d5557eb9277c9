// overloaded.h: one visitor from several lambdas, for std::visit.
#pragma once

namespace trued {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace trued
