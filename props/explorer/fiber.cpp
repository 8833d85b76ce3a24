// fiber.cpp: the stack switch in assembly for x86-64 and AArch64, ucontext elsewhere.
#include "props/explorer/fiber.hpp"

#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#if defined(EXPLORER_UCONTEXT)
// No assembly is needed.
#elif defined(__x86_64__)
// explorer_switch(void** save, void* load): pushes what the System V ABI lets a callee keep, and
// pops it from the other stack.
asm(R"(
    .text
    .globl explorer_switch
    .hidden explorer_switch
    .type explorer_switch, @function
    .p2align 4
explorer_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size explorer_switch, . - explorer_switch
)");
#elif defined(__aarch64__)
// The same for AAPCS64: x19 to x30 and the low halves of v8 to v15.
asm(R"(
    .text
    .globl explorer_switch
    .hidden explorer_switch
    .type explorer_switch, %function
    .p2align 4
explorer_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size explorer_switch, . - explorer_switch
)");
#endif

#ifndef EXPLORER_UCONTEXT
extern "C" void explorer_switch(void** save, void* load);
#endif

namespace explorer {

Fiber::~Fiber() {
    if (stack_ != nullptr) munmap(stack_, kStackBytes);
}

void Fiber::map_stack() {
    void* const p = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, kGuardBytes, PROT_NONE) != 0) {
        std::perror("explorer: no memory for a stack");
        std::abort();
    }
    stack_ = static_cast<char*>(p);
}

#ifdef EXPLORER_UCONTEXT

void Fiber::prepare(Entry entry) {
    if (stack_ == nullptr) map_stack();
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_ + kGuardBytes;
    context_.uc_stack.ss_size = kStackBytes - kGuardBytes;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
    swapcontext(&from.context_, &to.context_);
}

#else

void Fiber::prepare(Entry entry) {
    if (stack_ == nullptr) map_stack();
    auto** top = reinterpret_cast<void**>(stack_ + kStackBytes);
#    if defined(__x86_64__)
    // Seen from `entry`, a return address (null) has just been pushed on an aligned stack; the
    // frame pointer is null, which ends a backtrace.
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
#    else
    for (int saved = 0; saved < 20; ++saved) *--top = nullptr;
    top[11] = reinterpret_cast<void*>(entry);  // x30
#    endif
    sp_ = top;
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
    explorer_switch(&from.sp_, to.sp_);
}

#endif

}  // namespace explorer
