// options_fuzz.cpp: bytes are a value of HAKMEM_OPTIONS. Whatever they are, the parser stays inside
// them, sets and complains of what another reader, written from the manual's words, sets and
// complains of, and what it prints for a setting it reads back as the same setting.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/text.hpp"
#include "options/options.hpp"

namespace {

// What the parser writes to stderr, which is libFuzzer's as well.
class Heard {
  public:
    Heard() : saved_(::dup(STDERR_FILENO)), file_(::memfd_create("heard", MFD_CLOEXEC)) {
        ::dup2(file_, STDERR_FILENO);
    }
    ~Heard() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        ::close(file_);
    }
    Heard(const Heard&) = delete;
    Heard& operator=(const Heard&) = delete;
    std::string text() const {
        std::string text(static_cast<std::size_t>(::lseek(file_, 0, SEEK_END)), '\0');
        text.resize(static_cast<std::size_t>(
            std::max<ssize_t>(0, ::pread(file_, text.data(), text.size(), 0))));
        return text;
    }

  private:
    int saved_, file_;
};

const fuzz::Defect mistaken_unit("mistaken_unit"), forgotten_option("forgotten_option");

void parse(const char* text, hak::Options& out) {
    hak::parse_options(text, out);
    if (mistaken_unit && out.tunables.purge_delay_ms != hak::Options{}.tunables.purge_delay_ms)
        out.tunables.purge_delay_ms *= 1000000;
}

// The other reader.
struct Reading {
    hak::Options options;
    std::size_t complaints = 0;
    bool asks_help = false;
};
std::optional<std::uint64_t> value_of(std::string_view s, hak::OptionKind kind) {
    if (kind == hak::OptionKind::mode) {
        for (unsigned i = 0; i < hak::kModeCount; ++i) {
            if (s == hak::kModes[i]) return i;
        }
        return std::nullopt;
    }
    const std::size_t digits = std::min(s.find_first_not_of("0123456789"), s.size());
    const std::string_view suffix = s.substr(digits);
    std::uint64_t factor = suffix.empty() ? 1 : 0;
    constexpr std::string_view kUnits = "KMGT", kSmallUnits = "kmgt";
    if (kind == hak::OptionKind::bytes && suffix.size() == 1) {
        const std::size_t unit = std::min(kUnits.find(suffix), kSmallUnits.find(suffix));
        if (unit != std::string_view::npos) factor = std::uint64_t{1} << 10 * (unit + 1);
    }
    if (kind == hak::OptionKind::milliseconds && suffix == "ms") factor = 1;
    if (kind == hak::OptionKind::milliseconds && suffix == "s") factor = 1000;
    if (digits == 0 || factor == 0) return std::nullopt;
    unsigned __int128 value = 0;
    for (const char c : s.substr(0, digits)) {
        value = value * 10 + static_cast<unsigned>(c - '0');
        if (value > UINT64_MAX) return std::nullopt;
    }
    value *= factor;
    return value > UINT64_MAX ? std::nullopt : std::optional(static_cast<std::uint64_t>(value));
}
// What docs/learning.md says of the modes.
void enter_mode(hak::Options& options, std::string_view mode) {
    const hak::Tunables usual;
    const bool is_research = mode == "research", learns = is_research || mode == "learning";
    options.tunables.cache_bytes_max = mode == "minimal" ? 0 : usual.cache_bytes_max;
    options.tunables.batch_bytes_max = learns ? std::size_t{64} << 20 : usual.batch_bytes_max;
    options.tunables.huge_pages = options.verbose = is_research;
}
// False: a complaint.
bool read_item(std::string_view item, Reading& reading) {
    const std::size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals),
                           value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
    if (name == "profile_path") {
        if (value.empty() || value.size() > 255) return false;
        value.copy(reading.options.profile_path, value.size());
        reading.options.profile_path[value.size()] = '\0';
        return true;
    }
    for (const hak::OptionRow& row : hak::kOptionRows) {
        if (name != row.name) continue;
        const std::optional<std::uint64_t> number = value_of(value, row.kind);
        if (!number || *number < row.least || *number > row.most) return false;
        row.set(reading.options, *number);
        if (row.kind == hak::OptionKind::mode) enter_mode(reading.options, value);
        return true;
    }
    return false;
}
Reading reading_of(std::string_view text) {
    Reading reading;
    while (!text.empty()) {
        const std::string_view item = text.substr(0, text.find(':'));
        text.remove_prefix(std::min(text.size(), item.size() + 1));
        if (item == "help") {
            reading.asks_help = true;
        } else if (!item.empty() && !read_item(item, reading)) {
            ++reading.complaints;
        }
    }
    return reading;
}

std::string wrong_in(const hak::Options& options, const std::string& heard, const Reading& want) {
    for (const hak::OptionRow& row : hak::kOptionRows) {
        if (row.get(options) != row.get(want.options))
            return std::string(row.name) + " is " + std::to_string(row.get(options)) +
                   " and should be " + std::to_string(row.get(want.options));
    }
    if (std::strcmp(options.profile_path, want.options.profile_path) != 0)
        return std::string("profile_path is ") + options.profile_path;
    if (want.asks_help) return {};  // the help's lines stand between
    const auto lines = static_cast<std::size_t>(std::count(heard.begin(), heard.end(), '\n'));
    if (lines != want.complaints)
        return std::to_string(lines) + " lines of complaint, " + std::to_string(want.complaints) +
               " are due:\n" + heard;
    for (const char c : heard) {
        if (c != '\n' && (static_cast<unsigned char>(c) < ' ' || c == 127))
            return "a complaint has a control character";
    }
    return {};
}

std::string run(const std::string& input) {
    // An environment value ends at its first zero; the heap copy lets AddressSanitizer see a read
    // behind it.
    const std::string text = input.c_str();
    char* const copy = static_cast<char*>(std::malloc(text.size() + 1));
    std::memcpy(copy, text.c_str(), text.size() + 1);
    hak::Options first, second;
    std::string again, heard;
    {
        const Heard hearing;
        parse(copy, first);
        heard = hearing.text();
        // The mode is written first, so the others are written where they differ from what it sets.
        hak::Options by_mode;
        if (first.mode != by_mode.mode) hak::set_mode(by_mode, first.mode);
        for (const hak::OptionRow& row : hak::kOptionRows) {
            if (forgotten_option && row.kind == hak::OptionKind::bytes) continue;
            if (row.get(first) ==
                row.get(row.kind == hak::OptionKind::mode ? hak::Options{} : by_mode))
                continue;
            hak::Text value;
            hak::add_value(value, row.kind, row.get(first));
            again += std::string(row.name) + "=" + std::string(value.data(), value.size()) + ":";
        }
        parse(again.c_str(), second);
    }
    std::free(copy);
    if (std::string wrong = wrong_in(first, heard, reading_of(text)); !wrong.empty()) return wrong;
    for (const hak::OptionRow& row : hak::kOptionRows) {
        if (row.get(first) != row.get(second))
            return std::string(row.name) + " does not survive being written and read: " + again;
    }
    return {};
}

}  // namespace

FUZZ_TEXT("options", run)
