/* own_vdso.h: a clock for the allocator alone. It reads the clock past libc, in the vDSO that the
 * kernel maps into every process, and asks getauxval where that lies. A program or a library that
 * includes this hands out a vDSO of its own instead, whose clock is own_clock(). */
#pragma once

#include <elf.h>
#include <stdint.h>
#include <time.h>

/* Written by who includes this: as clock_gettime, from any thread; it may not allocate. */
static int own_clock(clockid_t clock, struct timespec* time);

/* As little of a shared library as tells where one function lies. Addresses count from its begin.
 */
static struct {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    Elf64_Dyn entries[4];
    uint32_t hash[2];
    Elf64_Sym symbols[2];
    char names[32];
} own_vdso;

unsigned long getauxval(unsigned long type);
unsigned long getauxval(unsigned long type) {
    extern unsigned long __getauxval(unsigned long type); /* libc's own name for it */
    const char* const begin = (const char*)&own_vdso;
#define OWN_VDSO_OFFSET(part) ((uint64_t)((const char*)(part) - begin))
    if (type != AT_SYSINFO_EHDR) return __getauxval(type);
    own_vdso.header.e_phoff = OWN_VDSO_OFFSET(own_vdso.segments);
    own_vdso.header.e_phnum = 2;
    own_vdso.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD};
    own_vdso.segments[1] =
        (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_offset = OWN_VDSO_OFFSET(own_vdso.entries)};
    own_vdso.entries[0] = (Elf64_Dyn){DT_SYMTAB, {OWN_VDSO_OFFSET(own_vdso.symbols)}};
    own_vdso.entries[1] = (Elf64_Dyn){DT_STRTAB, {OWN_VDSO_OFFSET(own_vdso.names)}};
    own_vdso.entries[2] = (Elf64_Dyn){DT_HASH, {OWN_VDSO_OFFSET(own_vdso.hash)}};
    own_vdso.hash[1] = 2; /* symbols; the first has no name */
    own_vdso.symbols[1] =
        (Elf64_Sym){.st_name = 1,
                    .st_shndx = SHN_ABS,
                    .st_value = (uint64_t)((uintptr_t)own_clock - (uintptr_t)begin)};
    for (int i = 0; i < 20; ++i) own_vdso.names[1 + i] = "__vdso_clock_gettime"[i];
    return (unsigned long)begin;
#undef OWN_VDSO_OFFSET
}
