// text_test.cpp: what Text and Bounded write, and what they cut: a report must not grow beyond its
// buffer, and a caller who brings too short a buffer learns how long the whole is.
#include "sys/text.hpp"

#include <cstring>
#include <string>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;

std::string written(const hak::Text& text) {
    return {text.data(), text.size()};
}

void numbers_and_addresses() {
    hak::Text text;
    text << "n " << std::uint64_t{0} << " " << UINT64_MAX << " "
         << hak::pointer_to<const void>(0xdeadbeef);
    require(written(text) == "n 0 18446744073709551615 0xdeadbeef", "text: ", written(text));
}

// Each way to add something, to a text that has room for `left` bytes.
void text_is_cut() {
    const std::string most(4096, 'x');
    for (unsigned left = 0; left < 3; ++left) {
        for (unsigned way = 0; way < 4; ++way) {
            hak::Text text;
            text << most.c_str();
            const std::size_t whole = text.size();
            text = {};
            text.add(most.data(), whole - left);
            if (way == 0) text << "abcd";
            if (way == 1) text.add("abcd", 4);
            if (way == 2) text << std::uint64_t{1234};
            if (way == 3) text << hak::pointer_to<const void>(0x12);
            require(text.size() == whole, "a cut text has ", text.size(), " bytes, not ", whole);
            const std::string wanted = way < 2 ? "abcd" : way == 2 ? "1234" : "0x12";
            require(written(text).substr(whole - left) == wanted.substr(0, left),
                    "a text is cut at another place, way ", way);
        }
    }
}

void bounded_counts_what_it_leaves_out() {
    const std::string whole = "{\"a\":18446744073709551615,\"b\":0}";
    for (std::size_t bytes = 0; bytes < whole.size() + 3; ++bytes) {
        std::string out(whole.size() + 8, '#');
        hak::Bounded text(out.data(), bytes);
        text << "{";
        text.name("a", true) << UINT64_MAX;
        text.name("b", false) << std::uint64_t{0};
        text << "}";
        require(text.end() == whole.size(), "the length of the whole text with ", bytes, " bytes");
        if (bytes != 0)
            require(out.c_str() == whole.substr(0, bytes - 1), "with ", bytes, ": ", out.c_str());
        require(out.find_first_not_of('#', bytes) == std::string::npos, "written behind ", bytes);
    }
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(numbers_and_addresses),
        CHECK_TEST(text_is_cut),
        CHECK_TEST(bounded_counts_what_it_leaves_out),
    };
    return unit::run(argv, examples);
}
