// Devices and their properties, the version, names of errors.
#include <cstdio>
#include <cstring>
#include "state.h"

using namespace standin;

CU_ENTRY cuInit(unsigned flags) {
  const Call call;
  if (flags) return invalid_value;
  if (Settings::get().devices == 0) return no_device;
  initialize();
  return success;
}
CU_ENTRY cuDriverGetVersion(int* version) {
  *version = 13000;
  return success;
}
CU_ENTRY cuDeviceGetCount(int* count) {
  *count = Settings::get().devices;
  return success;
}
CU_ENTRY cuDeviceGet(int* device, int ordinal) {
  if (ordinal < 0 || ordinal >= Settings::get().devices) return invalid_device;
  *device = ordinal;
  return success;
}
CU_ENTRY cuDeviceGetName(char* name, int size, int device) {
  if (device < 0 || device >= Settings::get().devices) return invalid_device;
  std::snprintf(name, (size_t)size, "Stand-in device %d", device);
  return success;
}
CU_ENTRY cuDeviceGetUuid_v2(char (*uuid)[16], int device) {
  std::memset(*uuid, 0, 16);
  (*uuid)[15] = (char)device;
  return success;
}
CU_ENTRY cuDeviceTotalMem_v2(size_t* bytes, int device) {
  if (device < 0 || device >= Settings::get().devices) return invalid_device;
  *bytes = Settings::get().memory;
  return success;
}
// Freed memory is never kept here: an access after it is to be seen.
CU_ENTRY cuDeviceGetDefaultMemPool(void** pool, int device) {
  if (device < 0 || device >= Settings::get().devices) return invalid_device;
  static int pools;
  *pool = &pools;
  return success;
}
CU_ENTRY cuMemPoolSetAttribute(void* pool, int attribute, const void* value) {
  constexpr int release_threshold = 4;
  return pool && value && attribute == release_threshold ? success : invalid_value;
}
CU_ENTRY cuDeviceGetAttribute(int* value, int attribute, int device) {
  const Settings& settings = Settings::get();
  if (device < 0 || device >= settings.devices) return invalid_device;
  switch (attribute) {
    case 1: case 2: case 3: *value = attribute == 3 ? 64 : 1024; break;  // threads of a block, along x, y, z
    case 4: *value = 64; break;
    case 5: *value = 0x7fffffff; break;              // blocks of a grid along x
    case 6: case 7: *value = 65535; break;           // along y, z
    case 8: *value = 48 << 10; break;                // shared memory of a block
    case 10: *value = 32; break;                     // lanes of a warp
    case 12: case 82: *value = 65536; break;         // registers of a block, of a multiprocessor
    case 13: *value = 1980000; break;                // kHz
    case 16: *value = 132; break;                    // multiprocessors
    case 19: case 31: case 41: *value = 1; break;    // mapped host memory, concurrent kernels, unified addresses
    case 33: *value = device + 1; break;             // PCI bus
    case 36: *value = 2619000; break;                // kHz of the memory
    case 37: *value = 5120; break;                   // bits of the memory bus
    case 38: *value = 50 << 20; break;               // L2 cache
    case 39: *value = 2048; break;                   // threads of a multiprocessor
    case 40: *value = 3; break;                      // copy engines
    case 75: *value = settings.major; break;
    case 76: *value = settings.minor; break;
    case 81: *value = 228 << 10; break;              // shared memory of a multiprocessor
    case 97: *value = 227 << 10; break;              // of a block that opts in
    case 106: *value = 32; break;                    // blocks of a multiprocessor
    case 111: *value = 1 << 10; break;               // shared memory that the system takes of each block
    case 115: *value = 1; break;                     // memory pools
    default: *value = 0;
  }
  return success;
}

namespace {

struct ErrorText {
  int code;
  const char *name, *text;
};
constexpr ErrorText errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "the default stream would depend on a stream that is captured"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "capture was begun by another thread"},
    {910, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graphs differ too much for an update"},
};

const ErrorText* error_text(int code) {
  for (const ErrorText& error : errors) {
    if (error.code == code) return &error;
  }
  return nullptr;
}

}  // namespace

CU_ENTRY cuGetErrorName(int code, const char** name) {
  const ErrorText* error = error_text(code);
  *name = error ? error->name : nullptr;
  return error ? success : invalid_value;
}
CU_ENTRY cuGetErrorString(int code, const char** text) {
  const ErrorText* error = error_text(code);
  *text = error ? error->text : nullptr;
  return error ? success : invalid_value;
}
