// invariants.hpp: the whole Audit, for whoever runs it: the class and the parts that define it.
#pragma once

#include "audit/audit_heaps.hpp"
#include "audit/audit_pool.hpp"
#include "audit/audit_slabs.hpp"
