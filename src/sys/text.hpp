// text.hpp: lines for people, made without memory and without stdio: the allocator reports while
// its own state may be broken.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/types.hpp"

namespace hak {

// Text of bounded length; what does not fit is cut.
class Text {
  public:
    Text& operator<<(const char* s) {
        while (*s != '\0' && length_ < sizeof buffer_) buffer_[length_++] = *s++;
        return *this;
    }
    Text& operator<<(std::uint64_t value) { return number(value, 10); }
    Text& operator<<(const void* p) { return (*this << "0x").number(address_of(p), 16); }
    Text& add(const char* s, std::size_t length) {
        for (std::size_t i = 0; i < length && length_ < sizeof buffer_; ++i)
            buffer_[length_++] = s[i];
        return *this;
    }

    const char* data() const { return buffer_; }
    std::size_t size() const { return length_; }

    // To stderr, in one call where the system takes it in one, so that lines of two threads do not
    // mix. write() would be a cancellation point: a thread that was cancelled already would end in
    // it and not report.
    void print() const {
        const int saved = errno;
        std::size_t done = 0;
        while (done < length_) {
            const long n = ::syscall(SYS_write, STDERR_FILENO, buffer_ + done, length_ - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            done += static_cast<std::size_t>(n);
        }
        errno = saved;
    }

  private:
    Text& number(std::uint64_t value, unsigned base) {
        char digits[20];
        unsigned n = 0;
        do {
            digits[n++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        while (n != 0 && length_ < sizeof buffer_) buffer_[length_++] = digits[--n];
        return *this;
    }

    char buffer_[2048];
    std::size_t length_ = 0;
};

// Text into a buffer of the caller's: what does not fit is counted and left out.
class Bounded {
  public:
    Bounded(char* out, std::size_t bytes) : out_(out), bytes_(bytes) {}
    Bounded& operator<<(const char* s) {
        for (; *s != '\0'; ++s, ++length_) {
            if (length_ + 1 < bytes_) out_[length_] = *s;
        }
        return *this;
    }
    Bounded& operator<<(std::uint64_t value) {
        char digits[21] = {};
        char* at = digits + 20;
        do *--at = static_cast<char>('0' + value % 10);
        while ((value /= 10) != 0);
        return *this << static_cast<const char*>(at);
    }
    // `"name":`, after a comma unless it is the first.
    Bounded& name(const char* name, bool is_first) {
        return *this << (is_first ? "\"" : ",\"") << name << "\":";
    }
    // The length of the whole text, which is ended by a zero byte.
    std::size_t end() {
        if (bytes_ != 0) out_[length_ < bytes_ ? length_ : bytes_ - 1] = '\0';
        return length_;
    }

  private:
    char* out_;
    std::size_t bytes_, length_ = 0;
};

}  // namespace hak
