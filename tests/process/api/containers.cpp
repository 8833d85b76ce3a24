// hak::allocator with the standard containers and hak::memory_resource with the polymorphic ones.
#include <cstdint>
#include <deque>
#include <hakmem/hakmem.hpp>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <numeric>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "tests/check.hpp"

namespace {
struct alignas(128) Wide {
    unsigned char bytes[128];
};
template <class T>
using Vector = std::vector<T, hak::allocator<T>>;
}  // namespace

TEST(allocator_meets_the_requirements) {
    using A = hak::allocator<int>;
    using Traits = std::allocator_traits<A>;
    static_assert(std::is_same_v<Traits::value_type, int>);
    static_assert(std::is_same_v<Traits::rebind_alloc<double>, hak::allocator<double>>);
    static_assert(Traits::is_always_equal::value);
    static_assert(std::is_nothrow_copy_constructible_v<A>);
    EXPECT(A{} == hak::allocator<double>{});
    A a;
    int* p = Traits::allocate(a, 10);
    EXPECT(p != nullptr);
    p[9] = 1;
    Traits::deallocate(a, p, 10);
}

TEST(allocator_serves_containers) {
    Vector<int> v;
    for (int i = 0; i < 300'000; ++i) v.push_back(i);
    EXPECT_EQUAL(std::accumulate(v.begin(), v.end(), 0LL), 300'000LL * 299'999 / 2);
    std::map<int, int, std::less<>, hak::allocator<std::pair<const int, int>>> tree;
    std::unordered_map<int, int, std::hash<int>, std::equal_to<>,
                       hak::allocator<std::pair<const int, int>>>
        table;
    std::list<int, hak::allocator<int>> list;
    std::deque<int, hak::allocator<int>> deque;
    for (int i = 0; i < 20'000; ++i) {
        tree[i * 7919 % 20'011] = i;
        table[i] = i;
        list.push_front(i);
        deque.push_back(i);
    }
    EXPECT_EQUAL(tree.size(), 20'000u);
    for (int i = 0; i < 20'000; i += 2) tree.erase(i * 7919 % 20'011);
    EXPECT_EQUAL(tree.size(), 10'000u);
    EXPECT_EQUAL(table.at(12'345), 12'345);
    EXPECT_EQUAL(list.front(), 19'999);
    EXPECT_EQUAL(deque.back(), 19'999);
    std::basic_string<char, std::char_traits<char>, hak::allocator<char>> text;
    for (int i = 0; i < 1000; ++i) text += "some words ";
    EXPECT_EQUAL(text.size(), 11'000u);
    const auto shared = std::allocate_shared<int>(hak::allocator<int>{}, 5);
    EXPECT_EQUAL(*shared, 5);
}

TEST(allocator_respects_wide_types) {
    Vector<Wide> v;
    for (int i = 0; i < 1000; ++i) {
        v.emplace_back();
        EXPECT_EQUAL(reinterpret_cast<uintptr_t>(v.data()) % alignof(Wide), 0u);
    }
}

TEST(allocator_throws_when_the_size_is_impossible) {
    hak::allocator<long> a;
    for (const size_t n : {SIZE_MAX, SIZE_MAX / 8 + 1, SIZE_MAX / 8, SIZE_MAX / 16}) {
        bool thrown = false;
        try {
            (void)a.allocate(n);
        } catch (const std::bad_alloc&) {  // bad_array_new_length is one, too
            thrown = true;
        }
        EXPECT(thrown);
    }
}

TEST(memory_resource_serves_polymorphic_containers) {
    hak::memory_resource resource;
    hak::memory_resource other;
    EXPECT(resource.is_equal(other));
    EXPECT(!resource.is_equal(*std::pmr::new_delete_resource()));
    std::pmr::vector<std::pmr::string> words(&resource);
    for (int i = 0; i < 5000; ++i)
        words.emplace_back("a string that does not fit into the short buffer");
    EXPECT_EQUAL(words.size(), 5000u);
    std::pmr::unsynchronized_pool_resource pool(&resource);
    std::pmr::map<int, int> tree(&pool);
    for (int i = 0; i < 5000; ++i) tree[i] = i;
    EXPECT_EQUAL(tree.size(), 5000u);
    for (const size_t align : {1, 8, 16, 64, 4096, 65'536})
        for (const size_t n : {1, 100, 5000, 300'000}) {
            void* p = resource.allocate(n, align);
            EXPECT_EQUAL(reinterpret_cast<uintptr_t>(p) % align, 0u);
            memset(p, 1, n);
            resource.deallocate(p, n, align);
        }
    bool thrown = false;
    try {
        (void)resource.allocate(SIZE_MAX / 2 + 1, 64);
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    EXPECT(thrown);
}
