#include "state.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace standin {
namespace {

std::recursive_mutex lock;
int sticky = success;
bool initialized = false;
thread_local int bound_device = -1;

const char* setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

Settings read_environment() {
  Settings s = {};
  s.devices = std::clamp(std::atoi(setting("BIOLLMNET_STANDIN_DEVICES", "1")), 0, max_devices);
  s.memory = std::strtoull(setting("BIOLLMNET_STANDIN_MEMORY", "8589934592"), nullptr, 10);
  if (std::sscanf(setting("BIOLLMNET_STANDIN_CAPABILITY", "9.0"), "%d.%d", &s.major, &s.minor) != 2) {
    std::fprintf(stderr, "stand-in driver: BIOLLMNET_STANDIN_CAPABILITY is not of the form 9.0\n");
    std::abort();
  }
  s.late_streams = std::strcmp(setting("BIOLLMNET_STANDIN_STREAM", "early"), "late") == 0;
  return s;
}

// A context is known by the address of its place here.
char contexts[max_devices];

}  // namespace

Counters counters;

Settings& Settings::get() {
  static Settings settings = read_environment();
  return settings;
}

Call::Call() : hold(lock) {}

int Call::obstacle() const {
  if (!initialized) return not_initialized;
  if (bound_device < 0) return invalid_context;
  return sticky;
}

void stick(int error) {
  if (sticky == success) sticky = error;
}
int stuck() { return sticky; }
void unstick() { sticky = success; }
int current_device() { return bound_device; }
void initialize() { initialized = true; }

}  // namespace standin

using namespace standin;

CU_ENTRY cuDevicePrimaryCtxRetain(void** context, int device) {
  if (device < 0 || device >= Settings::get().devices) return invalid_device;
  *context = &contexts[device];
  return success;
}
CU_ENTRY cuDevicePrimaryCtxRelease_v2(int) { return success; }
CU_ENTRY cuCtxSetCurrent(void* context) {
  const long place = context ? (char*)context - contexts : -1;
  if (place >= max_devices) return invalid_context;
  bound_device = (int)place;
  return success;
}
CU_ENTRY cuCtxGetCurrent(void** context) {
  *context = bound_device < 0 ? nullptr : &contexts[bound_device];
  return success;
}
CU_ENTRY cuCtxGetDevice(int* device) {
  *device = bound_device;
  return bound_device < 0 ? invalid_context : success;
}
