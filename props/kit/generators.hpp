// generators.hpp: RapidCheck generators of histories in any command language. They shrink by
// leaving commands out and by making fields smaller.
#pragma once

#include <cstring>
#include <rapidcheck.h>

#include "props/kit/language.hpp"

// RapidCheck prints the type of what it shows: here a name for all languages, which are variants of
// up to twenty structs.
template <class... Commands>
struct rc::ShowType<std::variant<Commands...>> {
    static void showType(std::ostream& out) { out << "command"; }
};

namespace kit {

// One command with the fuzzer's distribution: decoded from random bytes.
template <class Language>
rc::Gen<Language> command_generator() {
    return rc::Gen<Language>([](const rc::Random& seed, int) {
        rc::Random random(seed);
        std::uint64_t words[2] = {random.next(), random.next()};
        std::uint8_t raw[sizeof words];
        std::memcpy(raw, words, sizeof raw);
        ByteReader bytes(raw, sizeof raw);
        return rc::shrinkable::shrinkRecur(
            decode_one<Language>(bytes, Alternatives<Language>{}),
            [](const Language& c) { return rc::seq::fromContainer(simpler(c)); });
    });
}

// Histories of up to about `length` commands.
template <class Language>
rc::Gen<std::vector<Language>> history_generator(double length) {
    return rc::gen::scale(length / 100,
                          rc::gen::container<std::vector<Language>>(command_generator<Language>()));
}

// `pick`ed commands alone, for histories that stay in one corner.
template <class Language, class Pick>
rc::Gen<std::vector<Language>> history_generator(double length, Pick pick) {
    return rc::gen::map(history_generator<Language>(length),
                        [pick](std::vector<Language> commands) {
                            for (Language& c : commands) pick(c);
                            return commands;
                        });
}

}  // namespace kit
