// operators.hpp: C++'s operators new and delete. Included by library.cpp alone, at global scope.
//
// The standard defines all forms by eight plain ones ([new.delete.single], [new.delete.array]), and
// a program may replace those alone: a new that counts, a delete that takes a header away.
// Preloaded, the forms that it left are these here. They must call what it has replaced then, and
// do not where all are ours, as nearly always.
#pragma once

#include <cstddef>
#include <new>

#include "base/attrs.hpp"
#include "base/claim.hpp"

#include "api/export.hpp"
#include "api/front_end.hpp"
#include "api/new_delete.hpp"

// Weak: a program that is linked with libhakmem.a may have its own.
#define HAK_OPERATOR HAK_EXPORT __attribute__((weak))

namespace {

using New = hak::api::OperatorNew<hak::FrontEnd>;
constexpr hak::api::OperatorDelete<hak::FrontEnd> kDelete{"operator delete",
                                                          hak::Origin::operator_new};
constexpr hak::api::OperatorDelete<hak::FrontEnd> kDeleteArray{"operator delete[]",
                                                               hak::Origin::operator_new_array};
using hak::Origin;

using Allocate = void*(std::size_t);
using AllocateAligned = void*(std::size_t, std::align_val_t);
using Release = void(void*) noexcept;
using ReleaseAligned = void(void*, std::align_val_t) noexcept;

// What the dynamic linker binds a name to: the program's function if it has one. A compiler may
// take the name for the definition it sees.
template <class Function>
Function* bound(Function* name) {
    asm("" : "+r"(name));
    return name;
}

// Set by the library's constructor, before there is a second thread.
constinit bool forwards = false;

// The nothrow forms are defined by those that throw.
template <class... Alignment>
HAK_COLD void* forward_nothrow(void* (*allocate)(std::size_t, Alignment...), std::size_t n,
                               Alignment... a) {
    try {
        return allocate(n, a...);
    } catch (...) {
        return nullptr;
    }
}

}  // namespace

// The plain forms.
HAK_OPERATOR void* operator new(std::size_t n) {
    return New::allocate(n, Origin::operator_new, true);
}
HAK_OPERATOR void* operator new(std::size_t n, std::align_val_t a) {
    return New::allocate(n, a, Origin::operator_new, true);
}
HAK_OPERATOR void operator delete(void* p) noexcept {
    kDelete(p);
}
HAK_OPERATOR void operator delete(void* p, std::align_val_t a) noexcept {
    kDelete(p, a);
}

// Their names for arrays, by which nothrow and sized forms of arrays are defined.
HAK_OPERATOR void* operator new[](std::size_t n) {
    if (forwards) [[unlikely]]
        return bound<Allocate>(::operator new)(n);
    return New::allocate(n, Origin::operator_new_array, true);
}
HAK_OPERATOR void* operator new[](std::size_t n, std::align_val_t a) {
    if (forwards) [[unlikely]]
        return bound<AllocateAligned>(::operator new)(n, a);
    return New::allocate(n, a, Origin::operator_new_array, true);
}
HAK_OPERATOR void operator delete[](void* p) noexcept {
    if (forwards) [[unlikely]]
        return bound<Release>(::operator delete)(p);
    kDeleteArray(p);
}
HAK_OPERATOR void operator delete[](void* p, std::align_val_t a) noexcept {
    if (forwards) [[unlikely]]
        return bound<ReleaseAligned>(::operator delete)(p, a);
    kDeleteArray(p, a);
}

HAK_OPERATOR void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return forward_nothrow(bound<Allocate>(::operator new), n);
    return New::allocate(n, Origin::operator_new, false);
}
HAK_OPERATOR void* operator new[](std::size_t n, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return forward_nothrow(bound<Allocate>(::operator new[]), n);
    return New::allocate(n, Origin::operator_new_array, false);
}
HAK_OPERATOR void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return forward_nothrow(bound<AllocateAligned>(::operator new), n, a);
    return New::allocate(n, a, Origin::operator_new, false);
}
HAK_OPERATOR void* operator new[](std::size_t n, std::align_val_t a,
                                  const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return forward_nothrow(bound<AllocateAligned>(::operator new[]), n, a);
    return New::allocate(n, a, Origin::operator_new_array, false);
}

HAK_OPERATOR void operator delete(void* p, std::size_t n) noexcept {
    if (forwards) [[unlikely]]
        return bound<Release>(::operator delete)(p);
    kDelete(p, n);
}
HAK_OPERATOR void operator delete(void* p, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return bound<Release>(::operator delete)(p);
    kDelete(p);
}
HAK_OPERATOR void operator delete(void* p, std::size_t n, std::align_val_t a) noexcept {
    if (forwards) [[unlikely]]
        return bound<ReleaseAligned>(::operator delete)(p, a);
    kDelete(p, n, a);
}
HAK_OPERATOR void operator delete(void* p, std::align_val_t a, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return bound<ReleaseAligned>(::operator delete)(p, a);
    kDelete(p, a);
}
HAK_OPERATOR void operator delete[](void* p, std::size_t n) noexcept {
    if (forwards) [[unlikely]]
        return bound<Release>(::operator delete[])(p);
    kDeleteArray(p, n);
}
HAK_OPERATOR void operator delete[](void* p, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return bound<Release>(::operator delete[])(p);
    kDeleteArray(p);
}
HAK_OPERATOR void operator delete[](void* p, std::size_t n, std::align_val_t a) noexcept {
    if (forwards) [[unlikely]]
        return bound<ReleaseAligned>(::operator delete[])(p, a);
    kDeleteArray(p, n, a);
}
HAK_OPERATOR void operator delete[](void* p, std::align_val_t a, const std::nothrow_t&) noexcept {
    if (forwards) [[unlikely]]
        return bound<ReleaseAligned>(::operator delete[])(p, a);
    kDeleteArray(p, a);
}

// The plain forms as they are here, under names that nothing else is bound to: the Itanium ABI
// mangles theirs, with m for size_t.
#if !defined(__clang__)
#    pragma GCC diagnostic ignored "-Wmissing-attributes"  // of what they return; nobody calls them
#endif
#define HAK_ALIAS(mangled) __attribute__((alias(mangled), visibility("hidden")))
extern "C" {
HAK_ALIAS("_Znwm") Allocate hak_own_new;
HAK_ALIAS("_Znam") Allocate hak_own_new_array;
HAK_ALIAS("_ZnwmSt11align_val_t") AllocateAligned hak_own_new_aligned;
HAK_ALIAS("_ZnamSt11align_val_t") AllocateAligned hak_own_new_aligned_array;
HAK_ALIAS("_ZdlPv") Release hak_own_delete;
HAK_ALIAS("_ZdaPv") Release hak_own_delete_array;
HAK_ALIAS("_ZdlPvSt11align_val_t") ReleaseAligned hak_own_delete_aligned;
HAK_ALIAS("_ZdaPvSt11align_val_t") ReleaseAligned hak_own_delete_aligned_array;
}

namespace {
HAK_COLD void find_replaced_operators() {
    forwards = bound<Allocate>(::operator new) != bound(hak_own_new) ||
               bound<Allocate>(::operator new[]) != bound(hak_own_new_array) ||
               bound<AllocateAligned>(::operator new) != bound(hak_own_new_aligned) ||
               bound<AllocateAligned>(::operator new[]) != bound(hak_own_new_aligned_array) ||
               bound<Release>(::operator delete) != bound(hak_own_delete) ||
               bound<Release>(::operator delete[]) != bound(hak_own_delete_array) ||
               bound<ReleaseAligned>(::operator delete) != bound(hak_own_delete_aligned) ||
               bound<ReleaseAligned>(::operator delete[]) != bound(hak_own_delete_aligned_array);
}
}  // namespace
