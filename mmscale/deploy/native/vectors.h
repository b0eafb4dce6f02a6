// Vectors of float32, and the product of pixels with a packed matrix, for the files beside it.
//
// Channels are padded with zeros to whole vectors. A matrix (out, in) is packed as panels of up to
// PANEL vectors of `out`: one after another, each as the rows of its transpose.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#if defined(__AVX__)
#include <immintrin.h>
#endif

// Vectors

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16, SUMS = 24, MOST_PIXELS = 12;  // sums that fit into the registers
#elif defined(__AVX__)
constexpr int LANES = 8, SUMS = 12, MOST_PIXELS = 6;
#elif defined(__aarch64__)
constexpr int LANES = 4, SUMS = 24, MOST_PIXELS = 12;
#else
constexpr int LANES = 4, SUMS = 12, MOST_PIXELS = 6;
#endif
constexpr int PANEL = 3;

typedef float Vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline Vec all(float value) { return Vec{} + value; }
inline Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
inline void store(float* p, Vec x) { *reinterpret_cast<Vec*>(p) = x; }

// At most `count` channels; the others are zero.
inline Vec load(const float* p, long count) {
    if (count >= LANES) return load(p);
#if defined(__AVX512F__)
    return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps((1u << count) - 1, p));
#else
    Vec x{};
    std::memcpy(&x, p, sizeof(float) * count);
    return x;
#endif
}

inline void store(float* p, Vec x, long count) {
    if (count >= LANES) return store(p, x);
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (1u << count) - 1, reinterpret_cast<__m512>(x));
#else
    std::memcpy(p, &x, sizeof(float) * count);
#endif
}

// Write past the caches, to an aligned place.
inline void stream(float* p, Vec x) {
#if defined(__AVX512F__)
    _mm512_stream_ps(p, reinterpret_cast<__m512>(x));
#elif defined(__AVX__)
    _mm256_stream_ps(p, reinterpret_cast<__m256>(x));
#else
    store(p, x);
#endif
}

// Before another thread reads what was written so.
inline void finish_streams() {
#if defined(__AVX__)
    _mm_sfence();
#endif
}

// In both, a NaN stays one.
inline Vec at_most(Vec x, float limit) {
#if defined(__AVX512F__)
    return reinterpret_cast<Vec>(_mm512_min_ps(_mm512_set1_ps(limit), reinterpret_cast<__m512>(x)));
#elif defined(__AVX__)
    return reinterpret_cast<Vec>(_mm256_min_ps(_mm256_set1_ps(limit), reinterpret_cast<__m256>(x)));
#else
    return x > all(limit) ? all(limit) : x;
#endif
}

inline Vec at_least(Vec x, float limit) {
#if defined(__AVX512F__)
    return reinterpret_cast<Vec>(_mm512_max_ps(_mm512_set1_ps(limit), reinterpret_cast<__m512>(x)));
#elif defined(__AVX__)
    return reinterpret_cast<Vec>(_mm256_max_ps(_mm256_set1_ps(limit), reinterpret_cast<__m256>(x)));
#else
    return x < all(limit) ? all(limit) : x;
#endif
}

// What values are raised to: by ReLU, or not at all.
inline float least_of(bool relu) { return relu ? 0 : -std::numeric_limits<float>::infinity(); }

// 1 / x from the processor's estimate and one step of Newton's, to about 2^-23.
inline Vec reciprocal(Vec x) {
#if defined(__AVX512F__)
    Vec y = reinterpret_cast<Vec>(_mm512_rcp14_ps(reinterpret_cast<__m512>(x)));
    return y * (all(2) - x * y);
#elif defined(__AVX__)
    Vec y = reinterpret_cast<Vec>(_mm256_rcp_ps(reinterpret_cast<__m256>(x)));
    return y * (all(2) - x * y);
#else
    return all(1) / x;
#endif
}

// e^x for x up to 87: 2^n e^r with x = n ln 2 + r, by a polynomial, to about 2^-22.
inline Vec exponential(Vec x) {
#if !defined(__AVX512F__)
    x = at_least(x, -87);
#endif
    const Vec shift = all(12582912);  // 1.5 * 2^23: its sum with n holds n in the lowest bits
    Vec sum = x * all(1.44269504f) + shift;
    Vec n = sum - shift;
    Vec r = x - n * all(0.693145752f) - n * all(1.42860677e-6f);  // ln 2 in two parts
    Vec p = all(1.0f / 720);
    p = p * r + all(1.0f / 120);
    p = p * r + all(1.0f / 24);
    p = p * r + all(1.0f / 6);
    p = p * r + all(1.0f / 2);
    p = p * r + all(1);
    p = p * r + all(1);
#if defined(__AVX512F__)
    return reinterpret_cast<Vec>(
        _mm512_scalef_ps(reinterpret_cast<__m512>(p), reinterpret_cast<__m512>(n)));
#else
    Ints power = (reinterpret_cast<Ints&>(sum) << 23) + (127 << 23);
    return p * reinterpret_cast<Vec&>(power);
#endif
}

inline Vec sigmoid(Vec x) { return reciprocal(all(1) + exponential(at_most(-x, 87))); }

struct SiLU {
    static Vec of(Vec x) { return x * sigmoid(x); }
};

struct ReLU6 {
    static Vec of(Vec x) { return at_most(at_least(x, 0), 6); }
};

// Matrix products

long vectors(long channels) { return (channels + LANES - 1) / LANES; }
long padded(long channels) { return vectors(channels) * LANES; }

struct Panel {
    long first, width;  // in vectors
};

std::vector<Panel> panels(long channels) {
    long whole = vectors(channels), count = (whole + PANEL - 1) / PANEL;
    std::vector<Panel> found;
    for (long i = 0, first = 0; i < count; ++i) {
        long width = whole / count + (i < whole % count);
        found.push_back({first, width});
        first += width;
    }
    return found;
}

// Call a function with the width of a panel as a constant.
template <class Function>
inline void with_width(long width, Function function) {
    static_assert(PANEL == 3, "a line for each width");
    if (width == 1) function(std::integral_constant<int, 1>());
    if (width == 2) function(std::integral_constant<int, 2>());
    if (width == 3) function(std::integral_constant<int, 3>());
}

// Some pixels times a panel, and the bias. A function of its own, so that the sums stay in registers
// whatever is around it.
template <int PIXELS, int WIDTH>
__attribute__((noinline)) void multiply_few(const float* pixels, long stride, const float* panel,
                                            long depth, const float* bias, float* to) {
    constexpr int GROUPS = (PIXELS + 2) / 3;
    Vec sums[PIXELS][WIDTH];
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < WIDTH; ++v) sums[i][v] = load(bias + v * LANES);
    // Three pixels share a pointer: a load adds one or two strides by itself.
    const float* groups[GROUPS];
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; ++g) groups[g] = pixels + 3 * g * stride;
    for (long k = 0; k < depth; ++k, panel += WIDTH * LANES) {
        Vec weights[WIDTH];
#pragma GCC unroll 4
        for (int v = 0; v < WIDTH; ++v) weights[v] = load(panel + v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i)
#pragma GCC unroll 4
            for (int v = 0; v < WIDTH; ++v)
                sums[i][v] += weights[v] * groups[i / 3][i % 3 * stride];
#pragma GCC unroll 8
        for (int g = 0; g < GROUPS; ++g) {
            ++groups[g];
            asm("" : "+r"(groups[g]));  // or GCC makes a pointer of each pixel again
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < WIDTH; ++v) store(to + (i * WIDTH + v) * LANES, sums[i][v]);
}

// Pixels (count, depth) times a panel: finish(pixel, vector, value) gets what comes out, in order.
// `spare` has room for MOST_PIXELS pixels.
template <int WIDTH, class Finish>
inline void multiply(const float* pixels, long stride, long count, const float* panel, long depth,
                     const float* bias, float* spare, Finish finish) {
    constexpr int PIXELS = std::min(SUMS / WIDTH, MOST_PIXELS);
    float sums[PIXELS * WIDTH * LANES];
    for (long first = 0; first < count; first += PIXELS) {
        const long here = std::min<long>(PIXELS, count - first);
        const float* a = pixels + first * stride;
        long step = stride;
        if (here < PIXELS) {  // do not read behind the last one
            for (long i = 0; i < here; ++i)
                std::memcpy(spare + i * depth, a + i * stride, sizeof(float) * depth);
            a = spare;
            step = depth;
        }
        multiply_few<PIXELS, WIDTH>(a, step, panel, depth, bias, sums);
        for (long i = 0; i < here; ++i)
#pragma GCC unroll 4
            for (int v = 0; v < WIDTH; ++v) finish(first + i, v, load(sums + (i * WIDTH + v) * LANES));
    }
}

}  // namespace
