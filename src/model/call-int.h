/* call-int.h - what every running model request begins with, whatever dialect serves it. */
#pragma once

#include "postern/model.h"

struct model_call {
    void (*cancel)(struct model_call *call);
};
