// How weights are laid out for the files beside it.

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

}  // extern "C"
