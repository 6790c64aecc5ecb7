// The forms of CUPTI's records that this toolkit writes: they grow a number with their fields.
#ifndef TIERSCOPE_REAL_CUPTI_FORMS_H_
#define TIERSCOPE_REAL_CUPTI_FORMS_H_

#include <cupti.h>

namespace tierscope {

#if CUPTI_API_VERSION >= 130000
using KernelRecord = CUpti_ActivityKernel10;
using CopyRecord = CUpti_ActivityMemcpy6;
#else  // CUDA 12.8 and 12.9
using KernelRecord = CUpti_ActivityKernel9;
using CopyRecord = CUpti_ActivityMemcpy5;
#endif
using FillRecord = CUpti_ActivityMemset4;
using OverheadRecord = CUpti_ActivityOverhead3;

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_CUPTI_FORMS_H_
