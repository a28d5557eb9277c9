// bounds.h: reads the bounds of a definition. Private to src/define.
#pragma once

#include "define/fault.h"

namespace trued::define {

class Fields;
struct Bounds;

void read_bounds(Fields& fields, Faults& faults, Bounds& bounds);

}  // namespace trued::define
