// Words of one instance (uint32_t, uint64_t) and of LANES instances at once (Lanes, WideLanes).
// Truth values are all ones or all zeros, in 32 bits. Shift amounts are below the word's width.
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef uint32_t Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t SignedLanes __attribute__((vector_size(4 * LANES)));
typedef uint64_t Half __attribute__((vector_size(4 * LANES)));
typedef int64_t SignedHalf __attribute__((vector_size(4 * LANES)));
typedef uint32_t UnalignedLanes __attribute__((vector_size(4 * LANES), aligned(4)));

// 64-bit words: those of the even lanes and those of the odd lanes.
struct WideLanes {
  Half even, odd;
};

#define INLINE static inline __attribute__((always_inline))

INLINE Lanes load(const uint32_t* from) { return *(const UnalignedLanes*)from; }
INLINE void store(uint32_t* to, Lanes value) { *(UnalignedLanes*)to = value; }

template <class W> inline W splat(uint64_t value);
template <> inline uint32_t splat<uint32_t>(uint64_t value) { return value; }
template <> inline uint64_t splat<uint64_t>(uint64_t value) { return value; }
template <> inline Lanes splat<Lanes>(uint64_t value) { return Lanes{} + (uint32_t)value; }
template <> inline WideLanes splat<WideLanes>(uint64_t value) {
  return {Half{} + value, Half{} + value};
}

INLINE uint64_t widen(uint32_t word) { return word; }
INLINE uint32_t narrow(uint64_t word) { return word; }
INLINE WideLanes widen(Lanes word) { return {(Half)word & 0xffffffffu, (Half)word >> 32}; }
INLINE Lanes narrow(WideLanes word) {
  return (Lanes)((word.even & 0xffffffffu) | (word.odd << 32));
}
// A truth value as 64 bits, and back.
INLINE uint64_t widen_truth(uint32_t truth) { return (int64_t)(int32_t)truth; }
INLINE WideLanes widen_truth(Lanes truth) {
  return {(Half)((SignedHalf)((Half)truth << 32) >> 32), (Half)((SignedHalf)truth >> 32)};
}

#define WIDE(operation)                                              \
  INLINE WideLanes operator operation(WideLanes a, WideLanes b) {    \
    return {a.even operation b.even, a.odd operation b.odd};         \
  }
WIDE(+) WIDE(-) WIDE(*) WIDE(&) WIDE(|) WIDE(^)
INLINE WideLanes operator~(WideLanes a) { return {~a.even, ~a.odd}; }
INLINE WideLanes operator<<(WideLanes a, int by) { return {a.even << by, a.odd << by}; }
INLINE WideLanes operator>>(WideLanes a, int by) { return {a.even >> by, a.odd >> by}; }

INLINE uint32_t shift_left(uint32_t a, uint32_t by) { return a << by; }
INLINE uint32_t shift_right(uint32_t a, uint32_t by) { return a >> by; }
INLINE uint64_t shift_left(uint64_t a, uint32_t by) { return a << by; }
INLINE uint64_t shift_right(uint64_t a, uint32_t by) { return a >> by; }
INLINE Lanes shift_left(Lanes a, Lanes by) { return a << by; }
INLINE Lanes shift_right(Lanes a, Lanes by) { return a >> by; }
INLINE WideLanes shift_left(WideLanes a, Lanes by) {
  WideLanes wide = widen(by);
  return {a.even << wide.even, a.odd << wide.odd};
}
INLINE WideLanes shift_right(WideLanes a, Lanes by) {
  WideLanes wide = widen(by);
  return {a.even >> wide.even, a.odd >> wide.odd};
}

#define COMPARE(name, operation)                                                       \
  INLINE uint32_t name(uint32_t a, uint32_t b) { return -(uint32_t)(a operation b); }  \
  INLINE uint32_t name(uint64_t a, uint64_t b) { return -(uint32_t)(a operation b); }  \
  INLINE Lanes name(Lanes a, Lanes b) { return (Lanes)(a operation b); }               \
  INLINE Lanes name(WideLanes a, WideLanes b) {                                        \
    return narrow(WideLanes{(Half)(a.even operation b.even), (Half)(a.odd operation b.odd)}); \
  }
COMPARE(equal, ==) COMPARE(unequal, !=) COMPARE(below, <) COMPARE(at_most, <=)

INLINE uint32_t select(uint32_t truth, uint32_t yes, uint32_t no) { return truth ? yes : no; }
INLINE uint64_t select(uint32_t truth, uint64_t yes, uint64_t no) { return truth ? yes : no; }
#ifdef __AVX512F__
#include <immintrin.h>
INLINE Half select(Half truth, Half yes, Half no) {
  return (Half)_mm512_ternarylogic_epi64((__m512i)truth, (__m512i)yes, (__m512i)no, 0xca);
}
#else
INLINE Half select(Half truth, Half yes, Half no) { return (truth & yes) | (~truth & no); }
#endif
INLINE Lanes select(Lanes truth, Lanes yes, Lanes no) {
  return (Lanes)select((Half)truth, (Half)yes, (Half)no);
}
INLINE WideLanes select(Lanes truth, WideLanes yes, WideLanes no) {
  WideLanes wide = widen_truth(truth);
  return {select(wide.even, yes.even, no.even), select(wide.odd, yes.odd, no.odd)};
}

INLINE bool any(uint32_t truth) { return truth; }
INLINE bool any(Lanes truth) {
#ifdef __AVX512F__
  return _mm512_test_epi32_mask((__m512i)truth, (__m512i)truth);
#else
  uint32_t found = 0;
  for (int lane = 0; lane < LANES; ++lane) found |= truth[lane];
  return found;
#endif
}
