// mutate.hpp: changes of a history, command by command: what bytes alone would need luck for, since
// commands differ in length.
#pragma once

#include <random>

#include "props/kit/language.hpp"

namespace fuzz {

template <class Language>
class Mutator {
  public:
    explicit Mutator(unsigned seed) : random_(seed) {}

    void change(std::vector<Language>& commands) {
        if (commands.empty()) return commands.push_back(fresh());
        const std::size_t at = below(commands.size()),
                          length = 1 + below(std::min<std::size_t>(commands.size() - at, 16));
        const auto begin = commands.begin() + static_cast<std::ptrdiff_t>(at),
                   end = begin + static_cast<std::ptrdiff_t>(length);
        switch (below(7)) {
            case 0:  // leave some out
                commands.erase(begin, end);
                return;
            case 1: {  // the same again, elsewhere
                const std::vector<Language> copy(begin, end);
                commands.insert(
                    commands.begin() + static_cast<std::ptrdiff_t>(below(commands.size() + 1)),
                    copy.begin(), copy.end());
                return;
            }
            case 2:
                std::swap(commands[at], commands[below(commands.size())]);
                return;
            case 3:
                commands[at] = fresh();
                return;
            case 4:
                commands.insert(begin, fresh());
                return;
            case 5:
                change_field(commands[at], fresh_field());
                return;
            default:
                take_over_field(commands[at], commands[below(commands.size())]);
        }
    }

  private:
    std::size_t below(std::size_t n) { return random_() % n; }
    Language fresh() {
        std::uint8_t raw[16];
        for (std::uint8_t& byte : raw) byte = static_cast<std::uint8_t>(random_());
        kit::ByteReader bytes(raw, sizeof raw);
        return kit::decode_one<Language>(bytes, kit::Alternatives<Language>{});
    }
    std::uint32_t fresh_field() { return static_cast<std::uint32_t>(random_()); }

    // One field of the command takes the value that the code means.
    void change_field(Language& command, std::uint32_t code) {
        each_field(command, below(8), [&]<class F>(F& field) {
            if constexpr (kit::kHasCode<F>) {
                field.v = F::of_code(code & 0xffff);
            } else {
                field.v = code % F::kLimit;
            }
        });
    }
    // One field of the command takes the value of another command's field of the same kind: the
    // same block, the same thread, the same size.
    void take_over_field(Language& command, const Language& other) {
        each_field(command, below(8), [&]<class F>(F& field) {
            const auto copy = [&]<class G>(const G& theirs) {
                if constexpr (std::is_same_v<F, G>) field = theirs;
            };
            std::visit(
                [&](const auto& c) {
                    std::apply([&](const auto&... theirs) { (copy(theirs), ...); }, c.fields());
                },
                other);
        });
    }
    // Calls `change` with the chosen one of the command's fields.
    template <class Change>
    static void each_field(Language& command, std::size_t chosen, Change change) {
        std::visit(
            [&](auto& c) {
                const auto apply = [&](auto&... field) {
                    std::size_t at = 0;
                    ((at++ == chosen % sizeof...(field) ? change(field) : void()), ...);
                };
                std::apply(apply, c.fields());
            },
            command);
    }

    std::minstd_rand random_;
};

// The bytes of a history that differs from the given one in one to three places.
template <class Language>
std::string mutated(std::vector<Language> commands, std::size_t most, unsigned seed) {
    Mutator<Language> mutator(seed);
    for (unsigned i = 0; i <= seed % 3; ++i) mutator.change(commands);
    std::string bytes = kit::encode(commands);
    while (bytes.size() > most && !commands.empty()) {
        commands.resize(commands.size() / 2);
        bytes = kit::encode(commands);
    }
    return bytes;
}

}  // namespace fuzz
