// history.hpp: the functions of harness.hpp for a target whose input is a history in a command language of the kit.
#pragma once

#include "fuzz/harness.hpp"
#include "props/kit/language.hpp"

namespace fuzz {

inline constexpr std::size_t kMostCommands = 1000;

template <class Language, std::string (*kRun)(const std::vector<Language>&)>
struct History {
    static std::string one(const std::uint8_t* data, std::size_t size) { return kRun(kit::decode<Language>(data, size, kMostCommands)); }
    static std::string show(const std::uint8_t* data, std::size_t size) {
        std::vector<Language> commands = kit::decode<Language>(data, size, kMostCommands);
        const auto fails = [](const std::vector<Language>& c) { return !kRun(c).empty(); };
        if (fails(commands)) commands = kit::minimize(std::move(commands), fails);
        return kit::text_of(commands);
    }
    static std::string bytes_of_text(const std::string& text) { return kit::encode(kit::parse<Language>(text)); }
    static std::string one_text(const std::string& text) { return kRun(kit::parse<Language>(text)); }
};

}  // namespace fuzz

// Defines the target's functions. `run` is a function from a history to what is wrong with it.
#define FUZZ_HISTORIES(Language, run)                                                                                              \
    std::string fuzz::one(const std::uint8_t* data, std::size_t size) { return History<Language, run>::one(data, size); }          \
    std::string fuzz::show(const std::uint8_t* data, std::size_t size) { return History<Language, run>::show(data, size); }        \
    std::string fuzz::bytes_of_text(const std::string& text) { return History<Language, run>::bytes_of_text(text); }               \
    std::string fuzz::one_text(const std::string& text) { return History<Language, run>::one_text(text); }
