// What nearly every source file of the worker includes. Only headers that look the same wherever they are included.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <arpa/inet.h>
#include <uv.h>

#include <FBS/message.h>
#include <FBS/notification.h>
#include <FBS/request.h>
#include <FBS/response.h>
