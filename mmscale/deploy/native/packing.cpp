// How weights are laid out for the files beside it, and whether they are still the same.

#include "vectors.h"

extern "C" {

// Channels are padded to multiples of it.
long lanes() { return LANES; }

// Pack a matrix (out, in) for `expand` and `project`.
void pack(const float* matrix, long out, long in, float* packed) {
    for (Panel panel : panels(out))
        for (long k = 0; k < in; ++k)
            for (long j = 0; j < panel.width * LANES; ++j) {
                const long channel = panel.first * LANES + j;
                *packed++ = channel < out ? matrix[channel * in + k] : 0;
            }
}

// A number made of some values of each array, to tell whether it was written to.
long probe(const float* const* arrays, const long* sizes, long count) {
    constexpr long SAMPLES = 16;
    unsigned long sum = 0;
    for (long a = 0; a < count; ++a)
        for (long i = 0; i < SAMPLES; ++i) {
            unsigned value;
            std::memcpy(&value, arrays[a] + sizes[a] * i / SAMPLES, sizeof(value));
            sum = sum * 1099511628211UL + value;
        }
    return static_cast<long>(sum);
}

}  // extern "C"
