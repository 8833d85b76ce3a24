// history.hpp: a target whose input is a history in a command language of the kit.
#pragma once

#include "fuzz/harness.hpp"
#include "fuzz/mutate.hpp"
#include "props/kit/isolate.hpp"
#include "props/kit/language.hpp"

namespace fuzz {

inline constexpr std::size_t kMostCommands = 1000;
// processor time of one candidate, which may be a loop without end
inline constexpr unsigned kShrinkMs = 10000;

template <class Language, std::string (*kRun)(const std::vector<Language>&)>
struct History {
    static std::vector<Language> read(const std::uint8_t* data, std::size_t size) {
        return kit::decode<Language>(data, size, kMostCommands);
    }
    static std::string one(const std::uint8_t* data, std::size_t size) {
        return kRun(read(data, size));
    }
    static std::string show(const std::uint8_t* data, std::size_t size) {
        std::vector<Language> commands = read(data, size);
        const auto fails = [](const std::vector<Language>& c) {
            return !kit::isolated(kShrinkMs, [&] { return kRun(c); }).empty();
        };
        if (fails(commands)) commands = kit::minimize(std::move(commands), fails);
        return kit::text_of(commands);
    }
    static std::string bytes_of_text(const std::string& text) {
        return kit::encode(kit::parse<Language>(text));
    }
    static std::string one_text(const std::string& text) {
        return kRun(kit::parse<Language>(text));
    }
    static std::string mutate(const std::uint8_t* data, std::size_t size, std::size_t most,
                              unsigned seed) {
        return mutated(read(data, size), most, seed);
    }
};

// A history in a part of a language, as one in the whole. A command of the part that the whole does
// not have says what it stands for.
template <class Whole, class Part>
std::vector<Whole> widen(const std::vector<Part>& commands) {
    std::vector<Whole> whole;
    whole.reserve(commands.size());
    for (const Part& command : commands) {
        whole.push_back(std::visit(
            [](const auto& c) -> Whole {
                if constexpr (requires { c.meaning(); }) {
                    return c.meaning();
                } else {
                    return c;
                }
            },
            command));
    }
    return whole;
}

}  // namespace fuzz

// Registers a target. `run` is a function from a history to what is wrong with it.
#define FUZZ_HISTORIES(name, Language, run)                                                    \
    namespace {                                                                                \
    using Inputs = fuzz::History<Language, run>;                                               \
    const fuzz::Registered registered({name, Inputs::one, Inputs::show, Inputs::bytes_of_text, \
                                       Inputs::one_text, Inputs::mutate});                     \
    }

// The same for a target whose language is a part of another one, `Whole`, which `run` takes.
#define FUZZ_PART(name, Part, Whole, run)                     \
    namespace {                                               \
    std::string run_part(const std::vector<Part>& commands) { \
        return run(fuzz::widen<Whole>(commands));             \
    }                                                         \
    }                                                         \
    FUZZ_HISTORIES(name, Part, run_part)
