// A doubly linked list through a member of its elements: order in a table of fixed size, without
// allocating.
//
// Owns nothing. An element is in at most one list through each of its links, and stays where it is
// in memory while it is in one. The list itself may be moved, since elements do not point to it.
#pragma once

namespace orrery {

template <typename T>
struct ListLink {
  T* before = nullptr;
  T* after = nullptr;
};

template <typename T, ListLink<T> T::* kLink>
class IntrusiveList {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }

  /// Null when empty.
  [[nodiscard]] T* front() const { return first_; }

  /// Null behind the last one.
  [[nodiscard]] static T* after(const T& element) { return (element.*kLink).after; }

  void push_front(T& element) {
    (element.*kLink) = {nullptr, first_};
    (first_ != nullptr ? (first_->*kLink).before : last_) = &element;
    first_ = &element;
  }

  void push_back(T& element) {
    (element.*kLink) = {last_, nullptr};
    (last_ != nullptr ? (last_->*kLink).after : first_) = &element;
    last_ = &element;
  }

  /// REQUIRES: the element is in this list.
  void erase(T& element) {
    const ListLink<T> link = element.*kLink;
    (link.before != nullptr ? (link.before->*kLink).after : first_) = link.after;
    (link.after != nullptr ? (link.after->*kLink).before : last_) = link.before;
    (element.*kLink) = {};
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace orrery
