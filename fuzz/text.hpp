// text.hpp: a target whose input is plain text, or bytes without a structure that the mutator could
// use.
#pragma once

#include "fuzz/harness.hpp"
#include "props/kit/isolate.hpp"

namespace fuzz {

inline constexpr unsigned kShrinkTextMs = 10000;  // processor time of one candidate

template <std::string (*kRun)(const std::string&)>
struct TextInput {
    static std::string as_text(const std::uint8_t* data, std::size_t size) {
        return {reinterpret_cast<const char*>(data), size};
    }
    static std::string one(const std::uint8_t* data, std::size_t size) {
        return kRun(as_text(data, size));
    }
    static std::string show(const std::uint8_t* data, std::size_t size) {
        std::string text = as_text(data, size);
        const auto fails = [](const std::string& t) {
            return !kit::isolated(kShrinkTextMs, [&] { return kRun(t); }).empty();
        };
        if (!fails(text)) return text;
        for (std::size_t chunk = text.size(); chunk > 0; chunk /= 2) {
            for (std::size_t i = 0; i + chunk <= text.size();) {
                const std::string shorter = text.substr(0, i) + text.substr(i + chunk);
                if (fails(shorter)) {
                    text = shorter;
                } else {
                    i += chunk;
                }
            }
        }
        return text;
    }
    static std::string bytes_of_text(const std::string& text) { return text; }
    static std::string mutate(const std::uint8_t*, std::size_t, std::size_t, unsigned) {
        return {};
    }
};

}  // namespace fuzz

// Registers a target. `run` is a function from a text to what is wrong with it.
#define FUZZ_TEXT(name, run)                                                                   \
    namespace {                                                                                \
    using Inputs = fuzz::TextInput<run>;                                                       \
    const fuzz::Registered registered({name, Inputs::one, Inputs::show, Inputs::bytes_of_text, \
                                       run, Inputs::mutate});                                  \
    }
