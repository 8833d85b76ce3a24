/* Which mutant of a switched build is on: that of the variable MUTANT, `number` or `number:file`.
 *
 * A function that has mutants asks for each whether it is on, and goes its unchanged way if not.
 * The variable is read at the first such question, which may come before any constructor has run:
 * without libc, from the stack that the kernel made. What is reached is told by a letter in the
 * file, s (selected) or r (reached), once in a process, by bare system calls that leave errno
 * alone. Nothing is called and nothing is written while no mutant is selected. A program may set
 * the word itself instead (props/explorer/protocols/mutants).
 *
 * The section says which mutants a program holds.
 */
#ifndef MUTANT_SWITCH_H
#define MUTANT_SWITCH_H

#ifdef __cplusplus
extern "C" {
#endif

extern void* __libc_stack_end; /* where the kernel put argc; set by the loader before it runs
                                  anything else */

#define MUTANT_UNREAD 0xffffffffu
__attribute__((weak, visibility("hidden"))) unsigned mutant_word = MUTANT_UNREAD;
__attribute__((weak, visibility("hidden"))) unsigned mutant_told;
__attribute__((weak, visibility("hidden"))) const char* mutant_file;

#define MUTANT_PLAIN                                               \
    __attribute__((noinline, cold, unused, no_instrument_function, \
                   no_sanitize("address", "thread", "undefined")))

static MUTANT_PLAIN long mutant_system_call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static MUTANT_PLAIN void mutant_tell(char letter) {
    if (mutant_file == 0) return;
    const long file =
        mutant_system_call(2 /* open */, (long)mutant_file, 02001 /* write, append */, 0);
    if (file < 0) return;
    mutant_system_call(1 /* write */, file, (long)&letter, 1);
    mutant_system_call(3 /* close */, file, 0, 0);
}

static MUTANT_PLAIN void mutant_read(void) {
    char** at = (char**)__libc_stack_end;
    unsigned word = 0;
    at += *(long*)at + 2; /* argc, argv, 0 */
    for (; *at != 0; ++at) {
        const char* text = *at;
        unsigned i = 0;
        while (i < 7 && text[i] == "MUTANT="[i]) ++i;
        if (i != 7) continue;
        for (text += 7; *text >= '0' && *text <= '9'; ++text)
            word = 10 * word + (unsigned)(*text - '0');
        if (*text == ':') mutant_file = text + 1;
        break;
    }
    __atomic_store_n(&mutant_word, word, __ATOMIC_RELEASE);
    if (word != 0) mutant_tell('s');
}

static MUTANT_PLAIN int mutant_ask(unsigned number) {
    if (__atomic_load_n(&mutant_word, __ATOMIC_ACQUIRE) == MUTANT_UNREAD) mutant_read();
    if (__atomic_load_n(&mutant_word, __ATOMIC_RELAXED) != number) return 0;
    if (__atomic_exchange_n(&mutant_told, 1, __ATOMIC_RELAXED) == 0) mutant_tell('r');
    return 1;
}

#ifdef __cplusplus
}
#endif

#define MUTANT_IS(number)                                                            \
    (__extension__({                                                                 \
        __asm__ volatile(".pushsection .mutants,\"\",@progbits\n.ascii \"<" #number  \
                         ">\"\n.popsection");                                        \
        __builtin_expect(__atomic_load_n(&mutant_word, __ATOMIC_RELAXED) != 0, 0) && \
            mutant_ask(number);                                                      \
    }))

#endif
