// Batch norm with what follows it, in float32, for training on a CPU with channels-last maps.
//
// What a norm, a gate (squeeze-excite's) and their gradients need beside sums over pixels are a few
// numbers for each image and channel, which norms.py computes. Here are the passes over the maps:
// two forward, two backward, in the order of memory.

#include <numeric>

#include "vectors.h"

// What is computed: z = scale x + shift, to which something may be added, then `act`, of maps
// (images, pixels, channels). `pivot` is (channels), `scale` and `shift` are (images, channels).
extern "C" struct Norm {
    long images, pixels, channels, act, threads;
    const float *pivot, *scale, *shift;
};

namespace {

constexpr long CHUNK = 128;           // pixels whose sums are kept in single precision
constexpr long UNCACHED = 1 << 22;    // floats of a map that is written past the caches
constexpr long PIECE = 1 << 16;       // floats that a thread works on at a time

// Activations, with their gradients: of z, from that of the activation's output.

struct Nothing {
    static Vec of(Vec z) { return z; }
    static Vec back(Vec, Vec gradient) { return gradient; }
};

struct ReLU {
    static Vec of(Vec z) { return at_least(z, 0); }
    static Vec back(Vec z, Vec gradient) { return z <= all(0) ? all(0) : gradient; }
};

struct ReLU6Back : ReLU6 {
    static Vec back(Vec z, Vec gradient) {
        return (z <= all(0)) | (z >= all(6)) ? all(0) : gradient;
    }
};

struct SiLUBack : SiLU {
    static Vec back(Vec z, Vec gradient) {
        const Vec s = sigmoid(z);
        return gradient * s * (all(1) + z * (all(1) - s));
    }
};

template <class Function>
inline void with_act(const Norm& norm, Function function) {
    if (norm.act == 0) function(Nothing());
    if (norm.act == 1) function(ReLU());
    if (norm.act == 2) function(ReLU6Back());
    if (norm.act == 3) function(SiLUBack());
}

// Sums

// Two sums over the pixels of each image, (2, images, channels), of what pair(image, pixel, channel,
// left, one, other) puts into the last two; `left` are the channels up to the last. Their order does
// not depend on the threads.
template <class Pair>
void two_sums(const Norm& norm, double* sums, Pair pair) {
    const long chunks = (norm.pixels + CHUNK - 1) / CHUNK, whole = padded(norm.channels);
    std::vector<float> parts(norm.images * chunks * 2 * whole);
#pragma omp parallel for num_threads(norm.threads) collapse(2)
    for (long n = 0; n < norm.images; ++n)
        for (long chunk = 0; chunk < chunks; ++chunk) {
            float* part = &parts[(n * chunks + chunk) * 2 * whole];
            const long end = std::min(norm.pixels, (chunk + 1) * CHUNK);
            for (long i = chunk * CHUNK; i < end; ++i)  // in the order of memory
                for (long c = 0; c < norm.channels; c += LANES) {
                    Vec one, other;
                    pair(n, n * norm.pixels + i, c, norm.channels - c, one, other);
                    store(part + c, load(part + c) + one);
                    store(part + whole + c, load(part + whole + c) + other);
                }
        }
#pragma omp parallel for num_threads(norm.threads) collapse(2)
    for (long n = 0; n < norm.images; ++n)
        for (long which = 0; which < 2; ++which) {
            double* to = sums + (which * norm.images + n) * norm.channels;
            std::fill(to, to + norm.channels, 0);
            for (long chunk = 0; chunk < chunks; ++chunk) {
                const float* from = &parts[((n * chunks + chunk) * 2 + which) * whole];
                for (long c = 0; c < norm.channels; ++c) to[c] += from[c];
            }
        }
}

// Maps

// Numbers of an image's channels for a run of a map: those of the channels again and again, from
// `channel` on, until they end with a whole vector.
template <int COUNT>
struct Repeated {
    long size;
    std::vector<float> values[COUNT];

    Repeated(const float* const (&of)[COUNT], long channels, long channel)
        : size(std::lcm(channels, static_cast<long>(LANES))) {
        for (int k = 0; k < COUNT; ++k) {
            values[k].resize(size);
            for (long i = 0, c = channel; i < size; ++i) {
                values[k][i] = of[k][c];
                if (++c == channels) c = 0;
            }
        }
    }
};

// to = of(place, left, numbers) for all places of a map, that many of which are `left` and the
// numbers being those of `constants`, each (images, channels).
template <int COUNT, class Of>
void write(const Norm& norm, float* to, const float* const (&constants)[COUNT], Of of) {
    const long image = norm.pixels * norm.channels, pieces = (image + PIECE - 1) / PIECE;
    const bool uncached = norm.images * image >= UNCACHED;
#pragma omp parallel for num_threads(norm.threads) collapse(2)
    for (long n = 0; n < norm.images; ++n)
        for (long piece = 0; piece < pieces; ++piece) {
            long place = n * image + piece * PIECE;
            const long end = n * image + std::min(image, (piece + 1) * PIECE);
            const float* own[COUNT];
            for (int k = 0; k < COUNT; ++k) own[k] = constants[k] + n * norm.channels;
            const Repeated<COUNT> repeated(own, norm.channels, (place - n * image) % norm.channels);
            auto vector = [&](long at, long j, long left) {
                Vec numbers[COUNT];
#pragma GCC unroll 4
                for (int k = 0; k < COUNT; ++k) numbers[k] = load(&repeated.values[k][j]);
                return of(at, left, numbers);
            };
            const bool aligned = reinterpret_cast<std::uintptr_t>(to + place) % sizeof(Vec) == 0;
            while (place < end) {
                const long whole = std::min(repeated.size, end - place) / LANES * LANES;
                if (aligned && uncached)
                    for (long j = 0; j < whole; j += LANES)
                        stream(to + place + j, vector(place + j, j, LANES));
                else
                    for (long j = 0; j < whole; j += LANES)
                        store(to + place + j, vector(place + j, j, LANES));
                place += whole;
                if (whole < repeated.size && place < end) {
                    store(to + place, vector(place, whole, end - place), end - place);
                    break;
                }
            }
        }
    finish_streams();
}

}  // namespace

extern "C" {

// Sums of x - pivot and of its squares, (2, images, channels).
void norm_sums(const Norm* norm, const float* x, double* sums) {
    const long channels = norm->channels;
    two_sums(*norm, sums, [=](long, long i, long c, long left, Vec& one, Vec& other) {
        one = load(x + i * channels + c, left) - load(norm->pivot + c, left);
        other = one * one;
    });
}

// y from x, and from `added` if that is given.
void norm_apply(const Norm* norm, const float* x, const float* added, float* y) {
    with_act(*norm, [&](auto act) {
        write<2>(*norm, y, {norm->scale, norm->shift}, [&](long at, long left, const Vec* numbers) {
            Vec z = load(x + at, left) * numbers[0] + numbers[1];
            if (added) z += load(added + at, left);
            return decltype(act)::of(z);
        });
    });
}

// Sums of g and of g (x - pivot), (2, images, channels), g being the gradient of z. It is written to
// `gradient`, if given; y, if given, tells what its ReLU let through.
void norm_gradients(const Norm* norm, const float* x, const float* y, const float* dy,
                    float* gradient, double* sums) {
    const long channels = norm->channels;
    with_act(*norm, [&](auto act) {
        two_sums(*norm, sums, [=](long n, long i, long c, long left, Vec& one, Vec& other) {
            const long at = i * channels + c, number = n * channels + c;
            const Vec value = load(x + at, left);
            const Vec z = y ? load(y + at, left)
                            : value * load(norm->scale + number, left) + load(norm->shift + number, left);
            one = decltype(act)::back(z, load(dy + at, left));
            other = one * (value - load(norm->pivot + c, left));
            if (gradient) store(gradient + at, one, left);
        });
    });
}

// The gradient of x: scale g + term + factor x, these two being (images, channels).
void norm_input(const Norm* norm, const float* x, const float* dy, const float* term,
                const float* factor, float* dx) {
    with_act(*norm, [&](auto act) {
        write<4>(*norm, dx, {norm->scale, norm->shift, term, factor},
                 [&](long at, long left, const Vec* numbers) {
                     const Vec value = load(x + at, left);
                     const Vec z = value * numbers[0] + numbers[1];
                     const Vec g = decltype(act)::back(z, load(dy + at, left));
                     return g * numbers[0] + numbers[2] + numbers[3] * value;
                 });
    });
}

}  // extern "C"
