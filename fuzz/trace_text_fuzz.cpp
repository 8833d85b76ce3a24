// trace_text_fuzz.cpp: the command languages themselves. Any bytes are a history that survives text
// and bytes; any text is refused or survives too, and so do its bytes unless a value has none; and
// what the mutator makes is a history as well.
#include "fuzz/mutate.hpp"
#include "fuzz/text.hpp"
#include "props/kit/commands.hpp"
#include "props/kit/pool_machine.hpp"

namespace {

// A language of the widest values that a field may have.
struct Widest : kit::Field<'m', UINT32_MAX, 4> {};
struct Say {
    Widest m;
    KIT_COMMAND(Say, "say", 1, m)
};
using Wide = std::variant<Say>;

const fuzz::Defect forgotten_digit("forgotten_digit");

template <class Language>
std::string written(const std::vector<Language>& commands) {
    std::string text = kit::text_of(commands);
    if (forgotten_digit && text.size() > 2 && text[text.size() - 3] != ' ')
        text.erase(text.size() - 2, 1);
    return text;
}

template <class Language>
std::vector<Language> decoded(const std::string& bytes, std::size_t most = SIZE_MAX) {
    return kit::decode<Language>(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                 most);
}

template <class Language>
std::string wrong_as_bytes(const std::string& input) {
    const std::vector<Language> commands = decoded<Language>(input, 1000);
    const std::size_t size = input.size();
    if (kit::parse<Language>(written(commands)) != commands)
        return "a history does not survive its text:\n" + kit::text_of(commands);
    if (decoded<Language>(kit::encode(commands)) != commands)
        return "a history does not survive its bytes:\n" + kit::text_of(commands);
    for (unsigned seed = 0; seed < 8; ++seed) {
        const std::string changed = fuzz::mutated(commands, size + 64, seed);
        if (changed.size() > size + 64) return "the mutator made more bytes than it may";
        if (kit::encode(decoded<Language>(changed)).size() != changed.size())
            return "the mutator made bytes that are no history";
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
    if (kit::parse<Language>(written(commands)) != commands)
        return "a text does not survive:\n" + text;
    std::string bytes;
    try {
        bytes = kit::encode(commands);
    } catch (const kit::Broken&) {
        return {};  // some values have no bytes
    }
    if (decoded<Language>(bytes) != commands) return "bytes mean another text than\n" + text;
    return {};
}

std::string wrong_in(const std::string& text) {
    for (const std::string& wrong :
         {wrong_as_bytes<kit::Command>(text), wrong_as_bytes<kit::PoolCommand>(text),
          wrong_as_bytes<Wide>(text), wrong_as_text<kit::Command>(text),
          wrong_as_text<kit::PoolCommand>(text), wrong_as_text<Wide>(text)}) {
        if (!wrong.empty()) return wrong;
    }
    return {};
}

std::string run(const std::string& input) {
    try {
        return wrong_in(input);
    } catch (const std::exception& e) {
        return std::string("a text of our own is refused: ") + e.what();
    }
}

}  // namespace

FUZZ_TEXT("trace_text", run)
