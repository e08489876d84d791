/* Times, durations and sizes as people and servers write them: what is read prints and reads back.
 */
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    char printed[CLOCK_TEXT_SIZE];
    int64_t value, again;
    if (clock_parse(text, &value) == 0) {
        ensure(clock_parse(slice_of(clock_format(value, printed)), &again) == 0);
        ensure(value == again);
    }
    if (duration_parse(text, &value) == 0) {
        ensure(value >= 0);
        duration_format(value, printed);
    }
    if (size_parse(text, &value) == 0) {
        ensure(value >= 0);
        size_format(value, printed);
    }
    if (size == sizeof(value)) {
        memcpy(&value, data, sizeof(value));
        ensure(clock_parse(slice_of(clock_format(value, printed)), &again) == 0 && value == again);
        duration_format(value, printed);
        size_format(value, printed);
    }
    return 0;
}
