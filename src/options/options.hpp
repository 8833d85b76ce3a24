// options.hpp: HAKMEM_OPTIONS="name=value:name=value", read once, before the window is reserved.
// The only reader of the environment.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/auxv.h>

#include "base/config.hpp"

#include "sys/text.hpp"

extern "C" char** environ;

namespace hak {

// What is on: the names are those of hakmem's modes, and so is what they stand for, as far as it
// exists here.
enum class Mode : unsigned char {
    minimal,   // free superslabs are returned at once; no learner
    fast,      // as balanced
    balanced,  // the 2 MiB strategy, frozen
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
    learning,  // learns, and freezes what it learned
    research,  // learns for ever; says what it does; huge pages
#endif
};
inline constexpr const char* kModes[] = {"minimal", "fast", "balanced",
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
                                         "learning", "research"
#endif
};
inline constexpr unsigned kModeCount = sizeof kModes / sizeof *kModes;
constexpr bool learns(Mode mode) {
    return mode > Mode::balanced;
}
constexpr bool is_research(Mode mode) {
    return static_cast<unsigned>(mode) == 4;
}

struct Options {
    Tunables tunables;
    Mode mode = Mode::balanced;
    std::uint64_t freeze_after_ms = 180'000;
    std::uint64_t profile_interval = 0;  // bytes between samples in the mean; 0: no profile
    char profile_path[256] = {};         // where it is written at exit; empty: nowhere
    bool verbose = false;                // one line at exit
    bool timing = false;                 // a timing build counts cycles, and prints them at exit
    bool were_read = false;
};
inline constinit Options options{};

enum class OptionKind : unsigned char { bytes, milliseconds, flag, mode };

struct OptionRow {
    const char* name;
    OptionKind kind;
    std::uint64_t least, most;
    const char* help;
    void (*set)(Options&, std::uint64_t);
    std::uint64_t (*get)(const Options&);
};

// A mode is a handful of options; what stands behind it overrides it.
inline void set_mode(Options& o, Mode mode) {
    const Options defaults{};
    o.mode = mode;
    o.tunables.cache_bytes_max = mode == Mode::minimal ? 0 : defaults.tunables.cache_bytes_max;
    // Above the cache's limit the threshold would decide nothing.
    o.tunables.batch_bytes_max =
        learns(mode) ? std::size_t{64} << 20 : defaults.tunables.batch_bytes_max;
    o.tunables.huge_pages = is_research(mode);
    o.verbose = is_research(mode);
}

inline constexpr OptionRow kOptionRows[] = {
    {"mode", OptionKind::mode, 0, kModeCount - 1,
     "sets several of the options below; HAKMEM_MODE=name in the environment does the same",
     [](Options& o, std::uint64_t v) { set_mode(o, static_cast<Mode>(v)); },
     [](const Options& o) { return static_cast<std::uint64_t>(o.mode); }},
    {"window", OptionKind::bytes, Config{}.window_bytes_min, std::uint64_t{1} << 46,
     "address space to reserve; 0 in this list: the larger of 1T and 8 times RAM",
     [](Options& o, std::uint64_t v) { o.tunables.window_bytes = v; },
     [](const Options& o) -> std::uint64_t { return o.tunables.window_bytes; }},
    {"purge_delay", OptionKind::milliseconds, 0, 3600000,
     "how long free memory stays resident before its pages are returned",
     [](Options& o, std::uint64_t v) { o.tunables.purge_delay_ms = v; },
     [](const Options& o) { return o.tunables.purge_delay_ms; }},
    {"decommit_delay", OptionKind::milliseconds, 0, 3600000,
     "how long after that its commit charge is returned too",
     [](Options& o, std::uint64_t v) { o.tunables.decommit_delay_ms = v; },
     [](const Options& o) { return o.tunables.decommit_delay_ms; }},
    {"cache", OptionKind::bytes, 0, std::uint64_t{1} << 46,
     "free resident superslabs above this are purged without delay",
     [](Options& o, std::uint64_t v) { o.tunables.cache_bytes_max = v; },
     [](const Options& o) -> std::uint64_t { return o.tunables.cache_bytes_max; }},
    {"threshold", OptionKind::bytes, 0, std::uint64_t{1} << 46,
     "a freed block at least as large goes into the purge batch",
     [](Options& o, std::uint64_t v) { o.tunables.batch_threshold = v; },
     [](const Options& o) -> std::uint64_t { return o.tunables.batch_threshold; }},
    {"batch", OptionKind::bytes, 0, std::uint64_t{1} << 46,
     "the purge batch is purged as soon as it holds more than this",
     [](Options& o, std::uint64_t v) { o.tunables.batch_bytes_max = v; },
     [](const Options& o) -> std::uint64_t { return o.tunables.batch_bytes_max; }},
    {"thp", OptionKind::flag, 0, 1, "advise transparent huge pages for all superslabs",
     [](Options& o, std::uint64_t v) { o.tunables.huge_pages = v != 0; },
     [](const Options& o) -> std::uint64_t { return o.tunables.huge_pages; }},
#if HAKMEM_DEBUG
    {"quarantine", OptionKind::bytes, 0, std::uint64_t{1} << 46,
     "freed bytes that wait before their memory is used again; at most 4096 blocks wait",
     [](Options& o, std::uint64_t v) { o.tunables.quarantine_bytes = v; },
     [](const Options& o) -> std::uint64_t { return o.tunables.quarantine_bytes; }},
    {"claims", OptionKind::flag, 0, 1,
     "whether function, size and alignment at free must match the allocation",
     [](Options& o, std::uint64_t v) { o.tunables.check_claims = v != 0; },
     [](const Options& o) -> std::uint64_t { return o.tunables.check_claims; }},
#endif
#if HAKMEM_WITH_EVOLUTION
    {"freeze_after", OptionKind::milliseconds, 0, 3600000,
     "how long the learner learns before it may freeze; four times that it must, once all "
     "strategies were tried",
     [](Options& o, std::uint64_t v) { o.freeze_after_ms = v; },
     [](const Options& o) { return o.freeze_after_ms; }},
#endif
#if !HAKMEM_DEBUG
    {"profile", OptionKind::bytes, 0, std::uint64_t{1} << 40,
     "samples the heap once in so many bytes, 512K for example; 0 is off",
     [](Options& o, std::uint64_t v) { o.profile_interval = v; },
     [](const Options& o) { return o.profile_interval; }},
#endif
#if HAKMEM_DEBUG_TIMING
    {"timing", OptionKind::flag, 0, 1,
     "count cycles, and print them at exit; HAKMEM_TIMING=1 in the environment does the same",
     [](Options& o, std::uint64_t v) { o.timing = v != 0; },
     [](const Options& o) -> std::uint64_t { return o.timing; }},
#endif
    {"verbose", OptionKind::flag, 0, 1, "print a line of counters at exit",
     [](Options& o, std::uint64_t v) { o.verbose = v != 0; },
     [](const Options& o) -> std::uint64_t { return o.verbose; }},
};

// A number with an optional suffix K, M, G or T for bytes, or ms, s for times. False if it is
// anything else, or overflows.
inline bool parse_value(const char* s, std::size_t length, OptionKind kind, std::uint64_t& value) {
    std::size_t i = 0;
    value = 0;
    if (kind == OptionKind::mode) {
        for (; value < kModeCount; ++value) {
            if (std::strlen(kModes[value]) == length && std::memcmp(kModes[value], s, length) == 0)
                return true;
        }
        return false;
    }
    for (; i < length && s[i] >= '0' && s[i] <= '9'; ++i) {
        const auto digit = static_cast<std::uint64_t>(s[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    if (i == 0) return false;
    const std::size_t rest = length - i;
    if (rest == 0) return true;
    std::uint64_t factor = 0;
    if (kind == OptionKind::bytes && rest == 1) {
        constexpr char kSuffixes[] = "KkMmGgTt";
        for (unsigned k = 0; k < sizeof kSuffixes - 1; ++k)
            if (s[i] == kSuffixes[k]) factor = std::uint64_t{1} << (k / 2 + 1) * 10;
    } else if (kind == OptionKind::milliseconds) {
        if (rest == 2 && s[i] == 'm' && s[i + 1] == 's') factor = 1;
        if (rest == 1 && s[i] == 's') factor = 1000;
    }
    if (factor == 0 || value > UINT64_MAX / factor) return false;
    value *= factor;
    return true;
}

// As it is written in HAKMEM_OPTIONS.
inline Text& add_value(Text& text, OptionKind kind, std::uint64_t value) {
    return kind == OptionKind::mode ? text << kModes[value] : text << value;
}

inline void print_options_help() {
    const Options defaults{};
    Text text;
    text << "hakmem: HAKMEM_OPTIONS=name=value:name=value\n";
    for (const OptionRow& row : kOptionRows) {
        const char* const unit = row.kind == OptionKind::milliseconds ? " ms" : "";
        text << "  " << row.name << " (";
        if (row.kind == OptionKind::mode) {
            for (const char* mode : kModes) text << mode << ", ";
        } else {
            text << row.least << " to " << row.most << unit << ", ";
        }
        add_value(text << "default ", row.kind, row.get(defaults))
            << unit << "): " << row.help << "\n";
    }
#if !HAKMEM_DEBUG
    text << "  profile_path (a path without a colon, default none): where the profile is written "
            "at exit; %p is the process id\n";
#endif
    text.print();
}

// What the user wrote, as part of one line: shortened, and without characters that end a line or
// steer a terminal.
inline Text& quote(Text& text, const char* s, std::size_t length) {
    constexpr std::size_t kShownMax = 200;
    for (std::size_t i = 0; i < length && i < kShownMax; ++i)
        text.add(s[i] >= ' ' && s[i] != 127 ? &s[i] : "?", 1);
    return length > kShownMax ? text << "..." : text;
}

#if !HAKMEM_DEBUG
// `s` begins at the equals sign, if there is one.
inline bool set_path(const char* s, std::size_t length, Options& out) {
    if (length < 2 || length > sizeof out.profile_path) return false;
    std::memcpy(out.profile_path, s + 1, length - 1);
    out.profile_path[length - 1] = '\0';
    return true;
}
#endif

// One name=value; prints a line and changes nothing if it is malformed.
inline void parse_option(const char* s, std::size_t length, Options& out) {
    if (length == 4 && std::memcmp(s, "help", 4) == 0) return print_options_help();
    std::size_t name = 0;
    while (name < length && s[name] != '=') ++name;
    Text text;
    text << "hakmem: HAKMEM_OPTIONS: ";
#if !HAKMEM_DEBUG
    constexpr char kPath[] = "profile_path";
    if (name == sizeof kPath - 1 && std::memcmp(s, kPath, name) == 0) {
        if (set_path(s + name, length - name, out)) return;
        quote(text << "a path has 1 to 255 characters: ", s, length) << "\n";
        return text.print();
    }
#endif
    for (const OptionRow& row : kOptionRows) {
        if (std::strlen(row.name) != name || std::memcmp(row.name, s, name) != 0) continue;
        std::uint64_t value = 0;
        if (name == length || !parse_value(s + name + 1, length - name - 1, row.kind, value)) {
            quote(text << "malformed value: ", s, length) << "\n";
            return text.print();
        }
        if (value < row.least || value > row.most) {
            quote(text << "value out of range (" << row.least << " to " << row.most << "): ", s,
                  length)
                << "\n";
            return text.print();
        }
        return row.set(out, value);
    }
    quote(text << "unknown option: ", s, name) << " (HAKMEM_OPTIONS=help lists all)\n";
    text.print();
}

inline void parse_options(const char* s, Options& out) {
    while (*s != '\0') {
        std::size_t length = 0;
        while (s[length] != '\0' && s[length] != ':') ++length;
        if (length != 0) parse_option(s, length, out);
        s += length;
        if (*s == ':') ++s;
    }
}

// libc's constructor sets it.
inline bool has_environment() {
    return environ != nullptr;
}

// Reads the environment if there is one yet: libc may not have set it when the dynamic loader
// allocates, and even when the library's constructor runs, which is handed it. A privileged program
// (AT_SECURE) does not listen to its environment.
inline void read_options(char** environment = environ) {
    if (options.were_read || environment == nullptr) return;
    options.were_read = true;
    if (::getauxval(AT_SECURE) != 0) return;
    const auto find = [environment](const char* name, std::size_t length) -> const char* {
        for (char** e = environment; *e != nullptr; ++e) {
            if (std::strncmp(*e, name, length) == 0) return *e + length;
        }
        return nullptr;
    };
    constexpr char kMode[] = "HAKMEM_MODE=", kOptions[] = "HAKMEM_OPTIONS=",
                   kTiming[] = "HAKMEM_TIMING=";
    if (const char* timing = find(kTiming, sizeof kTiming - 1)) {
        Text text;
        if (timing[0] < '0' || timing[0] > '1' || timing[1] != '\0') {
            quote(text << "hakmem: HAKMEM_TIMING: neither 0 nor 1: ", timing, std::strlen(timing))
                << "\n";
        } else if (timing[0] == '1') {
#if HAKMEM_DEBUG_TIMING
            options.timing = true;
#else
            text << "hakmem: HAKMEM_TIMING: this library was built without HAKMEM_DEBUG_TIMING\n";
#endif
        }
        text.print();
    }
    if (const char* mode = find(kMode, sizeof kMode - 1)) {
        std::uint64_t value = 0;
        if (parse_value(mode, std::strlen(mode), OptionKind::mode, value)) {
            set_mode(options, static_cast<Mode>(value));
        } else {
            Text text;
            quote(text << "hakmem: HAKMEM_MODE: no such mode: ", mode, std::strlen(mode))
                << "; there are";
            for (const char* name : kModes) text << " " << name;
            text << "\n";
            text.print();
        }
    }
    if (const char* values = find(kOptions, sizeof kOptions - 1)) parse_options(values, options);
#if !HAKMEM_DEBUG
    if (options.profile_path[0] != '\0' && options.profile_interval == 0) {
        Text text;
        text << "hakmem: HAKMEM_OPTIONS: profile_path is of no use without profile, which says how "
                "much lies between samples\n";
        text.print();
    }
#endif
}

}  // namespace hak
