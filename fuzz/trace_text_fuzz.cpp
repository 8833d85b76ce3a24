// trace_text_fuzz.cpp: the command languages themselves. Any bytes are a history that survives text and, but for values without a code,
// bytes; any text is refused or survives too; and what the mutator makes is a history as well.
#include "fuzz/harness.hpp"
#include "fuzz/mutate.hpp"
#include "props/kit/commands.hpp"
#include "props/kit/pool_machine.hpp"

namespace {

enum class Defect : std::uint8_t { none, forgotten_digit };
#ifndef FUZZ_DEFECT
#define FUZZ_DEFECT none
#endif
constexpr Defect kDefect = Defect::FUZZ_DEFECT;

template <class Language>
std::string written(const std::vector<Language>& commands) {
    std::string text = kit::text_of(commands);
    if (kDefect == Defect::forgotten_digit && text.size() > 2 && text[text.size() - 3] != ' ') text.erase(text.size() - 2, 1);
    return text;
}

template <class Language>
std::string wrong_as_bytes(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kMost = 1000;
    const auto decode = [](const std::string& bytes) { return kit::decode<Language>(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), kMost); };
    const std::vector<Language> commands = kit::decode<Language>(data, size, kMost);
    if (kit::parse<Language>(written(commands)) != commands) return "a history does not survive its text:\n" + kit::text_of(commands);
    const std::vector<Language> nearest = decode(kit::encode(commands));
    if (nearest.size() != commands.size()) return "a history does not survive its bytes:\n" + kit::text_of(commands);
    for (std::size_t i = 0; i < nearest.size(); ++i) {
        if (nearest[i].index() != commands[i].index()) return "bytes mean another command than " + kit::text_of(commands[i]);
    }
    if (decode(kit::encode(nearest)) != nearest) return "what has a code does not survive its bytes:\n" + kit::text_of(nearest);
    for (unsigned seed = 0; seed < 8; ++seed) {
        const std::string changed = fuzz::mutated(commands, size + 64, seed);
        if (changed.size() > size + 64) return "the mutator made more bytes than it may";
        if (kit::encode(decode(changed)).size() != changed.size()) return "the mutator made bytes that are no history";
    }
    return {};
}

template <class Language>
std::string wrong_as_text(const std::string& text) {
    std::vector<Language> commands;
    try {
        commands = kit::parse<Language>(text);
    } catch (const kit::Broken&) {
        return {};
    }
    return kit::parse<Language>(written(commands)) == commands ? std::string() : "a text does not survive:\n" + text;
}

std::string wrong_in(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const std::string& wrong : {wrong_as_bytes<kit::Command>(data, size), wrong_as_bytes<kit::PoolCommand>(data, size), wrong_as_text<kit::Command>(text),
                                     wrong_as_text<kit::PoolCommand>(text)}) {
        if (!wrong.empty()) return wrong;
    }
    return {};
}

}  // namespace

std::string fuzz::one(const std::uint8_t* data, std::size_t size) {
    try {
        return wrong_in(data, size);
    } catch (const std::exception& e) {
        return std::string("a text of our own is refused: ") + e.what();
    }
}
std::string fuzz::show(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }
std::string fuzz::bytes_of_text(const std::string& text) { return text; }
std::string fuzz::one_text(const std::string& text) { return one(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()); }
std::string fuzz::mutate(const std::uint8_t*, std::size_t, std::size_t, unsigned) { return {}; }
