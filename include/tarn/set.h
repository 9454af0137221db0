/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/set.h - logged stores that know the type of what they store to.
 *
 *     r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);
 *     TARN_SET(tx, &s->temperature, 21.5);
 *     TARN_SET(tx, &s->samples[3], volts);
 *     TARN_SET_TEXT(tx, s->place, "kitchen");
 *     TARN_COPY(tx, &s->at, &there);
 *     r = tarn_section_leave(section);
 *
 * What does not fit together is refused by the compiler:
 *
 *     TARN_SET(tx, where, value)       @where points to an int8_t .. uint64_t, float, double, bool,
 *         char or enumeration that is not const; @value is a number. A number with a fraction does
 *         not go into one without, nor 64 bits into fewer: cast it, if that is meant.
 *     TARN_SET_TEXT(tx, field, text)   @field is a char[size], and a literal @text is not longer
 *     TARN_COPY(tx, to, from)          both point to one type: a struct, or an array of one length,
 *         and not to two arrays' first elements
 *
 * Each is an expression, looks at each argument once, and returns what tarn_tx_store() does, or
 * TARN_SET_TEXT() -EMSGSIZE. A tx of which one was refused is undone when it is left, so none of
 * the results need be looked at.
 *
 * Callers, progress, crash, trust: as tarn_tx_store() in <tarn/section.h>.
 */
#ifndef TARN_SET_H
#define TARN_SET_H

#include <stdbool.h>

#include <tarn/section.h>
#include <tarn/type.h>

#ifdef __cplusplus

#include <type_traits>

namespace tarn_detail
{
/* What stands in one word of shared memory. */
template <typename T> struct is_word {
	static constexpr bool value = scalar<T>::kind != 0 || std::is_same<T, bool>::value ||
				      std::is_same<T, char>::value || std::is_enum<T>::value;
};

template <typename T, typename V> constexpr bool fits()
{
	return sizeof(V) <= 4 || sizeof(T) == 8 || std::is_floating_point<V>::value;
}

inline int put(struct tarn_tx *tx, void *to, uint8_t bits)
{
	return tarn__tx_put8(tx, to, bits);
}

inline int put(struct tarn_tx *tx, void *to, uint16_t bits)
{
	return tarn__tx_put16(tx, to, bits);
}

inline int put(struct tarn_tx *tx, void *to, uint32_t bits)
{
	return tarn__tx_put32(tx, to, bits);
}

inline int put(struct tarn_tx *tx, void *to, uint64_t bits)
{
	return tarn__tx_put64(tx, to, bits);
}

template <typename T> struct bits_of {
	typedef typename std::conditional<
		sizeof(T) == 1, uint8_t,
		typename std::conditional<sizeof(T) == 2, uint16_t,
					  typename std::conditional<sizeof(T) == 4, uint32_t,
								    uint64_t>::type>::type>::type
		type;
};

/* By reference, so that an array is none. */
template <typename T, typename V> int set(struct tarn_tx *tx, T *const &where, V value)
{
	static_assert(!std::is_const<T>::value, "TARN_SET: what it points to is const");
	static_assert(is_word<T>::value, "TARN_SET: what it points to is an int8_t .. uint64_t, a "
					 "float, a double, a bool, a char or an enumeration");
	static_assert(std::is_convertible<V, T>::value && !std::is_pointer<V>::value,
		      "TARN_SET: the value is of another type");
	static_assert(std::is_floating_point<T>::value || !std::is_floating_point<V>::value,
		      "TARN_SET: a number with a fraction is cast to go into one without");
	static_assert(fits<T, V>(), "TARN_SET: a number of 64 bits is cast to go into fewer");
	T stored = static_cast<T>(value);
	typename bits_of<T>::type bits;

	__builtin_memcpy(&bits, &stored, sizeof(bits));
	return put(tx, where, bits);
}

/* The characters of a literal; 0 of what is none. */
template <typename T> struct literal {
	static constexpr size_t size = 0;
};
template <size_t n> struct literal<const char (&)[n]> {
	static constexpr size_t size = n - 1;
};

template <typename L, size_t n> int set_text(struct tarn_tx *tx, char (&field)[n], const char *text)
{
	static_assert(literal<L>::size <= n, "TARN_SET_TEXT: the text is longer than the field");
	return tarn_tx_text(tx, field, n, text);
}

template <typename T, typename U> int copy(struct tarn_tx *tx, T *const &to, U *const &from)
{
	static_assert(!std::is_const<T>::value, "TARN_COPY: what it copies to is const");
	static_assert(std::is_same<T, typename std::remove_cv<U>::type>::value,
		      "TARN_COPY: both point to one type");
	static_assert(std::is_trivially_copyable<T>::value,
		      "TARN_COPY: what it copies is plain data");
	return tarn_tx_write(tx, to, from, sizeof(T));
}
} // namespace tarn_detail

#define TARN_SET(tx, where, value) tarn_detail::set((tx), (where), (value))
#define TARN_SET_TEXT(tx, field, text)                                                             \
	tarn_detail::set_text<decltype((text))>((tx), (field), (text))
#define TARN_COPY(tx, to, from) tarn_detail::copy((tx), (to), (from))

#else

/* An expression that does nothing where @condition holds. */
#define TARN__SAY(condition, words)                                                                \
	((void)sizeof(struct {                                                                     \
		_Static_assert(condition, words);                                                  \
		int tarn__unused;                                                                  \
	}))

/* Of types, since a compiler warns of what is called and never evaluated. */
#define TARN__FLOATS(type)   _Generic((type)0, float : 1, double : 1, long double : 1, default : 0)
#define TARN__FITS(to, from) (sizeof(from) <= 4 || sizeof(to) == 8 || TARN__FLOATS(from) == 1)
/* An array is not what a pointer to its first element is. */
#define TARN__POINTS(expression)                                                                   \
	__builtin_types_compatible_p(__typeof__(expression), __typeof__(&*(expression)))

static inline int tarn__set_bool(struct tarn_tx *tx, bool *where, bool value)
{
	return tarn__tx_put8(tx, where, value);
}

static inline int tarn__set_char(struct tarn_tx *tx, char *where, char value)
{
	return tarn__tx_put8(tx, where, (uint8_t)value);
}

static inline int tarn__set_i8(struct tarn_tx *tx, int8_t *where, int8_t value)
{
	return tarn__tx_put8(tx, where, (uint8_t)value);
}

static inline int tarn__set_i16(struct tarn_tx *tx, int16_t *where, int16_t value)
{
	return tarn__tx_put16(tx, where, (uint16_t)value);
}

static inline int tarn__set_i32(struct tarn_tx *tx, int32_t *where, int32_t value)
{
	return tarn__tx_put32(tx, where, (uint32_t)value);
}

static inline int tarn__set_i64(struct tarn_tx *tx, int64_t *where, int64_t value)
{
	return tarn__tx_put64(tx, where, (uint64_t)value);
}

static inline int tarn__set_f32(struct tarn_tx *tx, float *where, float value)
{
	uint32_t bits;

	__builtin_memcpy(&bits, &value, sizeof(bits));
	return tarn__tx_put32(tx, where, bits);
}

static inline int tarn__set_f64(struct tarn_tx *tx, double *where, double value)
{
	uint64_t bits;

	__builtin_memcpy(&bits, &value, sizeof(bits));
	return tarn__tx_put64(tx, where, bits);
}

#define TARN__SETTER(type)                                                                         \
	_Generic((type)0, bool *                                                                   \
		 : tarn__set_bool, char *                                                          \
		 : tarn__set_char, int8_t *                                                        \
		 : tarn__set_i8, uint8_t *                                                         \
		 : tarn_tx_set8, int16_t *                                                         \
		 : tarn__set_i16, uint16_t *                                                       \
		 : tarn_tx_set16, int32_t *                                                        \
		 : tarn__set_i32, uint32_t *                                                       \
		 : tarn_tx_set32, int64_t *                                                        \
		 : tarn__set_i64, uint64_t *                                                       \
		 : tarn_tx_set64, float *                                                          \
		 : tarn__set_f32, double *                                                         \
		 : tarn__set_f64)

/** TARN_SET - a logged store of @value at @where: see above. Since: 0.1 */
#define TARN_SET(tx, where, value)                                                                 \
	(TARN__SAY(TARN__POINTS(where), "TARN_SET: a pointer to one element of the array"),        \
	 TARN__SAY(sizeof(1 * (__typeof__(value))0) > 0, "TARN_SET: the value is a number"),       \
	 TARN__SAY(TARN__FLOATS(__typeof__(*(where))) >= TARN__FLOATS(__typeof__(value)),          \
		   "TARN_SET: a number with a fraction is cast to go into one without"),           \
	 TARN__SAY(TARN__FITS(__typeof__(*(where)), __typeof__(value)),                            \
		   "TARN_SET: a number of 64 bits is cast to go into fewer"),                      \
	 TARN__SETTER(__typeof__(where))((tx), (where), (value)))

/** TARN_SET_TEXT - a logged store of @text in the char[] @field: see above. Since: 0.1 */
#define TARN_SET_TEXT(tx, field, text)                                                             \
	(TARN__SAY(!TARN__POINTS(field), "TARN_SET_TEXT: the field is an array"),                  \
	 TARN__SAY(_Generic((__typeof__(&(field)[0]))0, char * : 1, default : 0),                  \
		   "TARN_SET_TEXT: the field is a char[], and not const"),                         \
	 TARN__SAY(!__builtin_constant_p(text) || sizeof(text) - 1 <= sizeof(field),               \
		   "TARN_SET_TEXT: the text is longer than the field"),                            \
	 tarn_tx_text((tx), (field), sizeof(field), (text)))

/** TARN_COPY - a logged copy of what @from points to: see above. Since: 0.1 */
#define TARN_COPY(tx, to, from)                                                                    \
	(TARN__SAY(TARN__POINTS(to) && TARN__POINTS(from), "TARN_COPY: pointers to arrays whole"), \
	 TARN__SAY(__builtin_types_compatible_p(__typeof__(*(to)), __typeof__(*(from))),           \
		   "TARN_COPY: both point to one type"),                                           \
	 TARN__SAY(_Generic((1 ? (__typeof__(to))0 : (void *)1), void * : 1, default : 0),         \
		   "TARN_COPY: what it copies to is const"),                                       \
	 tarn_tx_write((tx), (to), (from), sizeof(*(to))))

#endif

#endif /* TARN_SET_H */
