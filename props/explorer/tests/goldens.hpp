// goldens.hpp: how many executions litmus programs have, as the test suite of GenMC publishes them
// (facts, not its text). GenMC counts with Model::sc_through_location, which is stronger than RC11
// as published: that differs in two programs.
#pragma once

#include <cstddef>
#include <iterator>

namespace litmus {

struct Golden {
    const char* name;
    const char* program;
    std::size_t rc11;
    std::size_t sc;  // 0: not published
    // where the engine's known gap hides executions: how many it finds; 0: all
    std::size_t engine = 0;
    std::size_t paper = 0;  // where RC11 as published allows more; 0: as many
};

inline constexpr Golden kGoldens[] = {
    {"SB", "x=1 rel; y acq | y=1 rel; x acq", 4, 3},
    {"SB+4sc", "x=1 sc; y sc | y=1 sc; x sc", 3, 3},
    {"SB+scfs", "x=1 rlx; F sc; y rlx | y=1 rlx; F sc; x rlx", 3, 3},
    {"SB+3sc+rel", "x=1 rel; y sc | y=1 sc; x sc", 4, 3},
    {"SB+rfis", "x=1 rel; x sc; y sc | y=1 rel; y sc; x sc", 4, 3},
    {"MP+rel+acq", "x=1 rlx; y=1 rel | y acq; x rlx", 3, 3},
    {"MP", "x=1 rlx; y=1 rlx | y rlx; x rlx", 4, 3},
    {"LB", "x rlx; y=1 rlx | y rlx; x=1 rlx", 3, 3},
    {"2+2W", "x=1 rel; y=2 rel | y=1 rel; x=2 rel", 4, 3},
    {"2+2W+4sc", "x=1 sc; y=2 sc | y=1 sc; x=2 sc", 3, 3},
    {"2+2W+scfs", "x=1 rlx; F sc; y=2 rlx | y=1 rlx; F sc; x=2 rlx", 3, 3},
    {"2+2W+3sc+rel", "x=1 rel; y=2 sc | y=1 sc; x=2 sc", 4, 3},
    {"IRIW+acq", "x=1 rlx | x acq; y acq | y acq; x acq | y=1 rlx", 16, 15},
    {"IRIW+6sc", "x=1 sc | x sc; y sc | y sc; x sc | y=1 sc", 15, 15},
    {"IRIW-acq-sc", "x=1 sc | x acq; y sc | y acq; x sc | y=1 sc", 16, 15, 15},
    {"RWC+syncs", "x=1 rlx | x rlx; F sc; y rlx | y=1 rlx; F sc; x rlx", 7, 7},
    {"W+RWC", "x=1 rlx; z=1 rel | z acq; F sc; y rlx | y=1 rlx; F sc; x rlx", 7, 7},
    {"Z6.U", "x=1 sc; y=1 rel | y+=1 sc; y rlx | y=3 sc; x sc", 22, 18, 22, 24},
    {"relseq", "x=1 rlx; y=1 rel; y=2 rlx | y<>3 rlx | y rlx; F ar; x rlx", 20, 16},
    {"viktor-relseq", "x+=1 acq; x+=1 rlx | x+=1 rlx; x+=1 rlx | x+=1 rel | x+=1 rlx", 180, 180},
    {"IRIWish", "x=1 rlx | a=x rlx; y=a rel | x rlx; F ar; y rlx | y rlx; F ar; x rlx", 28, 27},
    {"CoRR", "x=1 rlx | x rlx; x rlx", 3, 3},
    {"CoRR1", "x=1 rel | x=2 rel | x acq; x acq | x acq", 36, 0},
    {"CoRR2", "x=1 rel | x=2 rel | x acq; x acq | x acq; x acq", 72, 0},
    {"fr+w+w+w+reads", "x=1 rlx | x=2 rlx | x=3 rlx | x rlx; x rlx; x rlx; x rlx", 210, 0},
    {"inc+inc+RR+W+RR", "x+=1 rlx | x+=1 rlx | x rlx; x rlx | x=42 rlx | x rlx; x rlx", 600, 0},
    {"Z6+acq", "x=1 rlx; F sc; y=1 rlx | y acq; z=1 rlx | z=2 rlx; F sc; x rlx", 7, 0},
    {"WWmerge1", "x acq; y sc | x=1 sc; x=2 sc | y=1 sc; x sc", 17, 15, 15, 18},
    {"WWmerge2", "x acq; y sc | x=2 sc | y=1 sc; x sc", 8, 0, 7},
    {"rel-B-cumul-acq", "x=1 rlx; y=1 rel | a=y rlx; z=a rlx | z rlx; F ar; x rlx | y acq", 16, 0},
    {"cumul-release", "x=1 rlx; y=1 rel | a=y rlx; z=a rlx | z rlx; F ar; x rlx", 8, 0},
    {"atomicpo", "y=1 rlx; F ar; x=1 rlx | x<>1 rlx; y<>1 rlx", 4, 0},
};

}  // namespace litmus
