// First in, first out, in one array that keeps its memory: std::deque gives a node back for every
// few elements that pass through it and asks for the next. One owner.
#ifndef TIERSCOPE_SIM_BASE_ARRAY_QUEUE_H_
#define TIERSCOPE_SIM_BASE_ARRAY_QUEUE_H_

#include <cstddef>
#include <vector>

namespace tierscope {

// begin() to end() are the elements in order; a call that adds one may move them. Cost: constant,
// amortised over the elements that pass.
template <typename T>
class ArrayQueue {
 public:
  bool empty() const { return front_ == items_.size(); }
  size_t size() const { return items_.size() - front_; }
  T* begin() { return items_.data() + front_; }
  T* end() { return items_.data() + items_.size(); }
  const T* begin() const { return items_.data() + front_; }
  const T* end() const { return items_.data() + items_.size(); }
  T& front() { return *begin(); }
  const T& front() const { return *begin(); }
  const T& back() const { return items_.back(); }
  const T& operator[](size_t i) const { return begin()[i]; }

  void push_back(T item) {
    MakeRoom();
    items_.push_back(item);
  }
  void pop_front() {
    if (++front_ == items_.size()) Clear();
  }
  // Before the element that is `index` behind the first; 0 <= index <= size().
  void Insert(size_t index, T item) {
    items_.insert(items_.begin() + static_cast<std::ptrdiff_t>(front_ + index), item);
  }
  // Drops elements from the one that is `index` behind the first, where `drops` says so.
  template <typename Drops>
  void EraseIf(size_t index, Drops drops) {
    size_t kept = front_ + index;
    for (size_t at = kept; at < items_.size(); ++at) {
      if (!drops(items_[at])) items_[kept++] = items_[at];
    }
    items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(kept), items_.end());
    if (empty()) Clear();
  }

 private:
  void Clear() {
    items_.clear();
    front_ = 0;
  }
  // Where the array would grow although half of it has passed, what is left moves to its front.
  void MakeRoom() {
    if (items_.size() < items_.capacity() || front_ == 0 || 2 * front_ < items_.size()) return;
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(front_));
    front_ = 0;
  }

  std::vector<T> items_;  // those before front_ have passed
  size_t front_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_ARRAY_QUEUE_H_
