// invariants.hpp: the whole Audit, for whoever runs it: the class and the parts that define it.
#pragma once

#include "audit/audit_heaps.hpp"  // IWYU pragma: export
#include "audit/audit_pool.hpp"   // IWYU pragma: export
#include "audit/audit_slabs.hpp"  // IWYU pragma: export
