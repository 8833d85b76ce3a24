// litmus_rows.hpp: litmus programs and what is seen of them, in each way of exploring.
//
// Columns: RC11 as the axioms judge it; the engine with stores anywhere in modification order
// (`insert`) and at its end alone (`append`); the engine under the orders of x86 (slightly more
// than TSO allows) and under sequential consistency. A program with an outcome asks whether the
// outcome is seen; a program without asks whether it has a data race.
#pragma once

namespace litmus {

enum Answer : char { yes = 'Y', no = '-' };  // seen, or a race; never, or clean

struct Row {
    const char* name;
    const char* program;
    const char* outcome;  // null: is there a data race?
    Answer rc11, insert, append, x86, sc;
};

inline constexpr const char* kRace = nullptr;

inline constexpr Row kRows[] = {
    // Message passing.
    {"MP rlx/rlx", "x=1 rlx; y=1 rlx | a=y rlx; b=x rlx", "a=1, b=0", yes, yes, yes, no, no},
    {"MP rel/rlx", "x=1 rlx; y=1 rel | a=y rlx; b=x rlx", "a=1, b=0", yes, yes, yes, no, no},
    {"MP rlx/acq", "x=1 rlx; y=1 rlx | a=y acq; b=x rlx", "a=1, b=0", yes, yes, yes, no, no},
    {"MP rel/acq", "x=1 rlx; y=1 rel | a=y acq; b=x rlx", "a=1, b=0", no, no, no, no, no},
    {"MP fence/fence", "x=1 rlx; F rel; y=1 rlx | a=y rlx; F acq; b=x rlx", "a=1, b=0", no, no, no,
     no, no},
    {"MP rel/fence", "x=1 rlx; y=1 rel | a=y rlx; F acq; b=x rlx", "a=1, b=0", no, no, no, no, no},
    {"MP fence/acq", "x=1 rlx; F rel; y=1 rlx | a=y acq; b=x rlx", "a=1, b=0", no, no, no, no, no},
    {"MP fence after store", "x=1 rlx; y=1 rlx; F rel | a=y acq; b=x rlx", "a=1, b=0", yes, yes,
     yes, no, no},
    {"MP plain rel/acq", "p=1; y=1 rel | a=y acq; [a=1] p", kRace, no, no, no, no, no},
    {"MP plain rlx/acq", "p=1; y=1 rlx | a=y acq; [a=1] p", kRace, yes, yes, yes, no, no},
    {"MP plain rel/rlx", "p=1; y=1 rel | a=y rlx; [a=1] p", kRace, yes, yes, yes, no, no},
    {"MP plain, fences", "p=1; F rel; y=1 rlx | a=y rlx; F acq; [a=1] p", kRace, no, no, no, no,
     no},
    {"MP plain after fence", "F rel; p=1; y=1 rlx | a=y acq; [a=1] p", kRace, yes, yes, yes, no,
     no},
    {"MP plain after release", "y=1 rel; p=1 | a=y acq; [a=1] p", kRace, yes, yes, yes, yes, yes},
    {"MP failing cas, rlx", "p=1; y=7 rel | a=y?1:2 ar/rlx; [a=7] p", kRace, yes, yes, yes, no, no},
    {"MP failing cas, acq", "p=1; y=7 rel | a=y?1:2 ar/acq; [a=7] p", kRace, no, no, no, no, no},
    {"MP spurious failure", "p=1; y=1 rel | a=y~1:2 acq/rlx; [a=1] p", kRace, yes, yes, yes, no,
     no},

    // Store buffering.
    {"SB rel/acq", "x=1 rel; a=y acq | y=1 rel; b=x acq", "a=0, b=0", yes, yes, yes, yes, no},
    {"SB acq_rel fences", "x=1 rlx; F ar; a=y rlx | y=1 rlx; F ar; b=x rlx", "a=0, b=0", yes, yes,
     yes, yes, no},
    {"SB exchange acq_rel", "x<>1 ar; a=y acq | y<>1 ar; b=x acq", "a=0, b=0", yes, yes, yes, no,
     no},
    {"SB sc", "x=1 sc; a=y sc | y=1 sc; b=x sc", "a=0, b=0", no, no, no, no, no},
    {"SB rlx, sc fences", "x=1 rlx; F sc; a=y rlx | y=1 rlx; F sc; b=x rlx", "a=0, b=0", no, no, no,
     no, no},
    {"SB one sc fence", "x=1 rlx; F sc; a=y rlx | y=1 rlx; b=x rlx", "a=0, b=0", yes, yes, yes, yes,
     no},
    {"SB 3 sc + rel", "x=1 rel; a=y sc | y=1 sc; b=x sc", "a=0, b=0", yes, yes, yes, yes, no},
    {"SB 3 sc + acq", "x=1 sc; a=y acq | y=1 sc; b=x sc", "a=0, b=0", yes, yes, yes, no, no},
    {"SB+rfis", "x=1 rel; a=x sc; b=y sc | y=1 rel; c=y sc; d=x sc", "a=1, b=0, c=1, d=0", yes, yes,
     yes, yes, no},
    {"Dekker rel/acq", "x=1 rel; a=y acq; [a=0] p=1 | y=1 rel; b=x acq; [b=0] p=2", kRace, yes, yes,
     yes, yes, no},
    {"Dekker sc", "x=1 sc; a=y sc; [a=0] p=1 | y=1 sc; b=x sc; [b=0] p=2", kRace, no, no, no, no,
     no},
    {"Dekker sc fences", "x=1 rlx; F sc; a=y rlx; [a=0] p=1 | y=1 rlx; F sc; b=x rlx; [b=0] p=2",
     kRace, no, no, no, no, no},

    // Load buffering: C++20 allows the first, RC11 and every known processor's compiler mapping of
    // acquire or release do not.
    {"LB rlx", "a=x rlx; y=1 rlx | b=y rlx; x=1 rlx", "a=1, b=1", no, no, no, no, no},
    {"LB plain payload", "p; y=1 rlx | a=y acq; [a=1] p=1", kRace, yes, yes, yes, no, no},

    // Agreement of readers.
    {"IRIW rel/acq", "x=1 rel | y=1 rel | a=x acq; b=y acq | c=y acq; d=x acq",
     "a=1, b=0, c=1, d=0", yes, yes, yes, yes, no},
    {"IRIW sc", "x=1 sc | y=1 sc | a=x sc; b=y sc | c=y sc; d=x sc", "a=1, b=0, c=1, d=0", no, no,
     no, no, no},
    {"WRC rlx", "x=1 rlx | a=x rlx; y=1 rlx | b=y rlx; c=x rlx", "a=1, b=1, c=0", yes, yes, yes, no,
     no},
    {"WRC rel/acq", "x=1 rlx | a=x rlx; y=1 rel | b=y acq; c=x rlx", "a=1, b=1, c=0", no, no, no,
     no, no},
    {"ISA2 rel/acq", "x=1 rlx; y=1 rel | a=y acq; z=1 rel | b=z acq; c=x rlx", "a=1, b=1, c=0", no,
     no, no, no, no},
    {"W+RWC sc fences", "x=1 rlx; z=1 rel | a=z acq; F sc; b=y rlx | y=1 rlx; F sc; c=x rlx",
     "a=1, b=0, c=0", no, no, no, no, no},
    {"RWC sc fences", "x=1 rlx | a=x rlx; F sc; b=y rlx | y=1 rlx; F sc; c=x rlx", "a=1, b=0, c=0",
     no, no, no, no, no},

    // Modification order against execution order.
    {"2+2W rlx", "x=1 rlx; y=2 rlx | y=1 rlx; x=2 rlx", "x=1, y=1", yes, yes, no, yes, no},
    {"2+2W rel", "x=1 rel; y=2 rel | y=1 rel; x=2 rel", "x=1, y=1", yes, yes, no, yes, no},
    {"2+2W 3 sc + rel", "x=1 rel; y=2 sc | y=1 sc; x=2 sc", "x=1, y=1", yes, yes, no, no, no},
    {"2+2W sc", "x=1 sc; y=2 sc | y=1 sc; x=2 sc", "x=1, y=1", no, no, no, no, no},
    {"2+2W sc fences", "x=1 rlx; F sc; y=2 rlx | y=1 rlx; F sc; x=2 rlx", "x=1, y=1", no, no, no,
     no, no},
    {"S rel/rlx", "x=2 rlx; y=1 rel | a=y rlx; x=1 rlx", "a=1, x=2", yes, yes, no, no, no},
    {"S rel/acq", "x=2 rlx; y=1 rel | a=y acq; x=1 rlx", "a=1, x=2", no, no, no, no, no},
    {"R sc fence, rel", "x=1 rlx; y=1 rel | y=2 rlx; F sc; a=x rlx", "y=2, a=0", yes, yes, yes, yes,
     no},
    {"Z6 rel/acq", "x=1 rlx; y=1 rel | a=y acq; z=1 rel | z=2 rlx; F sc; b=x rlx", "a=1, z=2, b=0",
     yes, yes, yes, yes, no},

    // Coherence and atomicity.
    {"CoRR", "x=1 rlx | a=x rlx; b=x rlx", "a=1, b=0", no, no, no, no, no},
    {"CoRR, two writers", "x=1 rlx | x=2 rlx | a=x rlx; b=x rlx | c=x rlx; d=x rlx",
     "a=1, b=2, c=2, d=1", no, no, no, no, no},
    {"CoWR", "x=1 rlx; a=x rlx | x=2 rlx", "a=0", no, no, no, no, no},
    {"CoWR, later write", "x=1 rlx; a=x rlx | x=2 rlx", "a=2, x=1", no, no, no, no, no},
    {"seen through a fence", "x=1 rlx; F rel; c=x rlx; y=1 rlx | x=2 rlx | a=y acq; b=x rlx",
     "a=1, b=2, x=1", no, no, no, no, no},
    {"seen by a fence",
     "x=1 rlx; y=1 rel | a=y rlx; c=z rlx; F acq; b=x rlx | d=y rlx; x=2 rlx; z=1 rlx",
     "a=1, b=2, x=1", no, no, no, no, no},
    {"CoRW", "a=x rlx; x=1 rlx | x=2 rlx", "a=2, x=2", no, no, no, no, no},
    {"CoWW", "x=1 rlx; x=2 rlx | a=x rlx", "x=1", no, no, no, no, no},
    {"two increments", "x+=1 rlx | x+=1 rlx", "x!=2", no, no, no, no, no},
    {"two cas", "a=x?0:1 rlx/rlx | b=x?0:2 rlx/rlx", "a=0, b=0", no, no, no, no, no},
    {"spurious failures", "a=x~0:1 rlx/rlx | b=x~0:2 rlx/rlx", "a=0, b=0, x=0", yes, yes, yes, yes,
     yes},

    // Release sequences of C++20: foreign read-modify-writes continue them, a later store of the
    // same thread does not.
    {"foreign rmw continues", "p=1; y=1 rel | y?1:2 rlx/rlx | a=y acq; [a=2] p", kRace, no, no, no,
     no, no},
    {"own store breaks", "p=1; y=1 rel; y=2 rlx | a=y acq; [a=2] p", kRace, yes, yes, yes, no, no},
    {"foreign store breaks", "p=1; y=1 rel | a=y rlx; [a=1] y=2 rlx | b=y acq; [b=2] p", kRace, yes,
     yes, yes, no, no},

    // Seqlock: z counts, x and y are the data.
    {"seqlock",
     "z=1 rlx; F rel; x=1 rlx; y=1 rlx; z=2 rel | a=z acq; b=x rlx; c=y rlx; F acq; d=z rlx",
     "a=d, a!=1, b!=c", no, no, no, no, no},
    {"seqlock, no writer fence",
     "z=1 rlx; x=1 rlx; y=1 rlx; z=2 rel | a=z acq; b=x rlx; c=y rlx; F acq; d=z rlx",
     "a=d, a!=1, b!=c", yes, yes, yes, no, no},
    {"seqlock, no reader fence",
     "z=1 rlx; F rel; x=1 rlx; y=1 rlx; z=2 rel | a=z acq; b=x rlx; c=y rlx; d=z rlx",
     "a=d, a!=1, b!=c", yes, yes, yes, no, no},
    {"seqlock, last store rlx",
     "z=1 rlx; F rel; x=1 rlx; y=1 rlx; z=2 rlx | a=z acq; b=x rlx; c=y rlx; F acq; d=z rlx",
     "a=d, a!=1, b!=c", yes, yes, yes, no, no},

    // The known gap: the engine's order of SC events is one in which it executes them, so that it
    // agrees with sb u rf. RC11 lets it contradict happens-before where SC and weaker accesses mix,
    // and lets SC fences contradict a chain of relaxed reads.
    {"IRIW acq then sc", "x=1 sc | a=x acq; b=y sc | c=y acq; d=x sc | y=1 sc",
     "a=1, b=0, c=1, d=0", yes, no, no, no, no},
    {"WWmerge1", "a=x acq; b=y sc | x=1 sc; x=2 sc | y=1 sc; c=x sc", "a=1, b=0, c=0", yes, no, no,
     no, no},
    {"WWmerge2", "a=x acq; b=y sc | x=2 sc | y=1 sc; c=x sc", "a=2, b=0, c=0", yes, no, no, no, no},
    {"Z6.U", "x=1 sc; y=1 rel | a=y+=1 sc; b=y rlx | y=3 sc; c=x sc", "a=1, b=3, c=0", yes, no, no,
     no, no},
    {"sc fences, rlx chain", "x=1 rlx; F sc; y=1 rlx | a=y rlx; z=1 rlx | b=z rlx; F sc; c=x rlx",
     "a=1, b=1, c=0", yes, no, no, no, no},
};

}  // namespace litmus
